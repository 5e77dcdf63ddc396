"""The figures: their numbers, and files that can go into a paper as they are."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.page.made_up import made_up
from tvqsr.data.images import read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.report.figures import codebook, codes, curves, draw, plane
from tvqsr.report.figures.strip import SIDE, busiest
from tvqsr.report.scores import load_scores, summarise
from tvqsr.report.style import DOUBLE, looks_of, not_drawn, save

KINDS = ("strip", "plane", "codes", "curves", "codebook", "cost")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """Made-up results with every figure drawn."""
    folder = tmp_path_factory.mktemp("drawn")
    with chdir(folder):
        plan = made_up(folder)
        for name in plan.figures:
            draw(plan, name)
        yield plan


def name_of(plan: Plan, kind: str) -> str:
    return next(name for name in plan.figures if name.partition(".")[0] == kind)


@pytest.mark.parametrize("kind", KINDS)
def test_pdfs_are_vectors_of_a_papers_width_with_their_fonts(plan: Plan, kind: str) -> None:
    pdf = plan.paths.figure(name_of(plan, kind), "pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox \[ ([^\]]+) \]", pdf)
    width = float(box.split()[2]) / 72
    assert width == pytest.approx(DOUBLE, abs=0.01)
    assert b"/Type3" not in pdf and b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    assert (b"/Subtype /Image" in pdf) == (kind == "strip")


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_again_they_are_the_same_bytes(plan: Plan, kind: str) -> None:
    name = name_of(plan, kind)
    files = [plan.paths.figure(name, ending) for ending in ("png", "pdf")]
    before = [file.read_bytes() for file in files]
    draw(plan, name)
    assert [file.read_bytes() for file in files] == before


def test_crops_in_a_pdf_are_the_pixels_of_the_files(plan: Plan) -> None:
    pdf = plan.paths.figure(name_of(plan, "strip"), "pdf").read_bytes()
    found = [
        zlib.decompress(part)
        for part in re.findall(rb"/Subtype /Image.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    ]
    assert b"/Interpolate true" not in pdf
    pair = next(iter(read_pairs(plan.paths.dataset("first"))))
    hr = pair.hr()
    assert hr is not None
    top, left = busiest(hr, SIDE)
    sr = read_image(plan.paths.images("vq_rec", 0, "first") / f"{pair.name}.png")
    for pixels in (hr, sr):
        crop = pixels[top : top + SIDE, left : left + SIDE]
        # Matplotlib stores the lowest line first.
        assert any(np.array_equal(_unpacked(data), crop[::-1]) for data in found)


def _unpacked(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pixels of a PNG-predicted stream of a crop: each line has a byte that names its filter."""
    header = b"\x89PNG\r\n\x1a\n"
    if len(data) != SIDE * (3 * SIDE + 1):
        return np.zeros(0, np.uint8)
    parts = [
        (b"IHDR", SIDE.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"),
        (b"IDAT", zlib.compress(data)),
        (b"IEND", b""),
    ]
    chunks = [
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in parts
    ]
    import io

    return np.asarray(Image.open(io.BytesIO(header + b"".join(chunks))))


def test_an_entry_looks_alike_in_all_figures(plan: Plan) -> None:
    looks = looks_of(list(plan.entries.values()))
    assert len(set(looks.values())) == len(plan.entries)
    many = [next(iter(plan.entries.values()))] * 64
    entries = [entry.__class__(f"e{n}", "", entry.method, None, (0,)) for n, entry in enumerate(many)]
    assert len(set(looks_of(entries).values())) == 64


def frame(values: dict[str, tuple[float, float]]) -> pd.DataFrame:
    rows = [
        {"entry": name, "protocol": protocol, "mean": value, "higher_is_better": protocol == "psnr_y"}
        for name, pair in values.items()
        for protocol, value in zip(("psnr_y", "lpips_alex"), pair, strict=True)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"bicubic": (28.0, 0.5), "vq": (24.0, 0.3), "tvq": (25.0, 0.4)}, ["bicubic", "tvq", "vq"]),
        ({"bicubic": (28.0, 0.2), "vq": (24.0, 0.3), "tvq": (25.0, 0.4)}, ["bicubic"]),
        ({"bicubic": (28.0, 0.5), "vq": (28.0, 0.4), "tvq": (25.0, 0.4)}, ["vq"]),
        ({"bicubic": (28.0, 0.5), "vq": (24.0, float("nan"))}, ["bicubic"]),
    ],
)
def test_the_pareto_front(tiny_plan: Plan, values: dict[str, tuple[float, float]], expected: list[str]) -> None:
    entries = [tiny_plan.entries[name] for name in values]
    assert plane.front(frame(values), entries, "psnr_y", "lpips_alex") == expected


def test_lines_of_the_codebook_figure_are_the_summarys(plan: Plan) -> None:
    scores = load_scores(plan)
    summary = summarise(scores[scores.testset == "first"])
    entries = [plan.entries[name] for name in plan.tables["codebook"].entries]
    found = {line.method: line for line in codebook.lines(summary, entries, "psnr_y")}
    assert found["vq"].sizes == (8, 16)
    assert found["vq"].entries == ("vq_rec_half", "vq_rec")
    mean = scores.query("testset == 'first' and entry == 'vq_rec_half' and protocol == 'psnr_y'").value.mean()
    assert found["vq"].means[0] == pytest.approx(mean)


def test_without_the_papers_method_nothing_published_is_drawn(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p.update(entries={"bicubic": {"method": "bicubic"}}))))
    assert codebook.published(plan) == []
    # A run of interpolations alone: no panel, not one with axes and nothing in it.
    summary = pd.DataFrame([{"entry": "bicubic", "protocol": "psnr_y", "mean": 20.0}])
    assert codebook.panels_of(plan, summary, [], "photos_test") == {}


def test_shares_of_codes_fall_and_add_up() -> None:
    (share,) = codes.shares({"codebooks": [{"counts": [1, 0, 6, 3]}]})
    assert share.tolist() == [0.6, 0.3, 0.1, 0.0]
    (unused,) = codes.shares({"codebooks": [{"counts": [0, 0]}]})
    assert unused.tolist() == [0.0, 0.0]


def test_curves_are_running_means(plan: Plan) -> None:
    run = next(iter(plan.runs))
    raw = pd.read_csv(plan.paths.curve(run, 0))["generator/pixel"]
    smooth = curves.smoothed(plan, run, 0)["generator/pixel"]
    assert smooth.iloc[100] == pytest.approx(raw.iloc[81:101].mean())
    assert smooth.iloc[0] == raw.iloc[0]


def test_what_cannot_be_drawn_says_why(tmp_path: Path, plan: Plan) -> None:
    path = tmp_path / "none.pdf"
    drawing: Figure = not_drawn("no weights")
    save(drawing, path)
    assert path.read_bytes().startswith(b"%PDF")
    assert [text.get_text() for text in drawing.axes[0].texts] == ["n/a: no weights"]
    with pytest.raises(UserError, match=r"unknown figure `plain\.main`"):
        draw(plan, "plain.main")


def test_a_figures_key_follows_its_code_and_the_codebooks_the_claims(
    tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {name: tiny_plan.figure_key(name) for name in tiny_plan.figures}
    monkeypatch.setattr(Plan, "claims_key", lambda _: "other claims")
    changed = {name for name in tiny_plan.figures if tiny_plan.figure_key(name) != keys[name]}
    assert changed == {"codebook"}


def test_the_busiest_crop() -> None:
    """A lawn is busier than one hard edge."""
    image = np.full((200, 240, 3), 128, np.uint8)
    image[:, :30] = 0
    lawn = np.random.default_rng(0).integers(100, 156, (48, 48, 1), dtype=np.uint8)
    image[80:128, 100:148] = lawn
    top, left = busiest(image, 48)
    assert abs(top - 80) <= 4
    assert abs(left - 100) <= 4
    assert (top % 4, left % 4) == (0, 0)
    assert busiest(image[:20, :20], 48) == (0, 0)
