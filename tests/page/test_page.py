"""The page as a file: what it says, what it carries, how large it may be."""

from __future__ import annotations

import base64
import io
import itertools
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.page.made_up import ABSENT, HOSTILE, page_data
from tvqsr.data.images import read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.plan import Plan
from tvqsr.report import page as page_module
from tvqsr.report.page import LIMIT_BYTES, write_page
from tvqsr.report.page.answer import answer
from tvqsr.report.page.assets import embedded, packed
from tvqsr.report.page.distribution import IMAGES, distributions
from tvqsr.report.page.tables import score_cell
from tvqsr.report.page.verdicts import judged


@pytest.fixture(scope="module")
def html(shown: Plan) -> str:
    """The file, as it was written."""
    return shown.paths.report.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_and_is_small(shown: Plan, html: str) -> None:
    assert shown.paths.report.stat().st_size < LIMIT_BYTES
    assert not re.search(r"<(script|link|iframe|img)[^>]+(src|href)=\"(?!data:)[^\"]", html)
    assert "@import" not in html.split("</style>", maxsplit=1)[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy and policy[1].startswith("default-src 'none';")
    assert not re.search(r"https?:", policy[1])


def test_titles_that_would_break_a_page_are_text(html: str) -> None:
    assert HOSTILE not in html
    assert html.count("</script>") == 5
    titles = [entry["title"] for entry in page_data(html, "plots")["entries"]]
    assert HOSTILE in titles
    assert HOSTILE in unescape(html.split('id="data-plots"', maxsplit=1)[0])


def test_entries_that_share_a_title_are_told_apart(html: str) -> None:
    titles = [entry["title"] for entry in page_data(html, "plots")["entries"]]
    assert len(set(titles)) == len(titles)
    assert "TVQ&RAP (tvqrap)" in titles


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "\u2028", "é\"'\\"])
def test_json_in_a_page_cannot_end_its_script(text: str) -> None:
    import json

    inside = str(embedded({"text": text}))
    assert "<" not in inside and "\u2028" not in inside
    assert json.loads(inside) == {"text": text}


def test_the_tables_are_there_without_scripts(shown: Plan, html: str) -> None:
    """Every mean of every table is a cell of plain HTML."""
    words = unescape(re.sub(r"<[^>]+>", " ", html.split('id="data-plots"', maxsplit=1)[0]))
    for testset in shown.table_sets("main"):
        summary = pd.read_csv(shown.paths.table("main", testset, "csv"))
        for row in summary[summary.protocol == "psnr_y"].itertuples():
            assert f" {row.mean:.2f} " in words
    claims = pd.read_csv(shown.paths.claims)
    assert html.count("<tr data-verdict=") == len(claims)
    assert html.count(f'title="{ABSENT}"') >= len(shown.entries)


def test_crops_are_the_pixels_of_the_files(shown: Plan, html: str) -> None:
    crops = page_data(html, "crops")
    assert list(crops) == ["first", "second"]
    assert set(crops["first"]) == {"a", "tête & <b>", "c"}
    for testset, pair in ((name, pair) for name in crops for pair in read_pairs(shown.paths.dataset(name))):
        crop = crops[testset][pair.name]
        top, left = crop["top"], crop["left"]
        assert (top % 4, left % 4) == (0, 0)
        area = np.s_[top : top + 128, left : left + 128]
        hr = pair.hr()
        assert hr is not None
        assert np.array_equal(pixels(crop["images"]["HR"]), hr[area])
        small = np.s_[top // 4 : top // 4 + 32, left // 4 : left // 4 + 32]
        assert np.array_equal(pixels(crop["images"]["LR"]), pair.lr()[small])
        for entry in ("bicubic", "tvqrap"):
            file = shown.paths.images(entry, 0, testset) / f"{pair.name}.png"
            assert np.array_equal(pixels(crop["images"][entry]), read_image(file)[area])


def pixels(uri: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_a_page_that_would_be_too_large_shows_fewer_crops_and_says_so(
    shown: Plan, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shown.paths.report.stat().st_size
    crops = page_data(html, "crops")
    largest = max(len(str(crop)) for photos in crops.values() for crop in photos.values())
    limit = whole - largest + page_module.MARGIN_BYTES
    monkeypatch.setattr(page_module, "LIMIT_BYTES", limit)
    try:
        write_page(shown)
        small = shown.paths.report.read_text(encoding="utf-8")
        assert len(small.encode()) <= limit
        left = {name: len(photos) for name, photos in page_data(small, "crops").items()}
        assert 1 <= sum(left.values()) < 5
        # The sets take turns.
        assert set(left) == {"first", "second"}
        assert f"it holds crops of {left['first']} of 3 photos of first" in small
    finally:
        shown.paths.report.write_text(html, encoding="utf-8")


def test_plots_carry_the_numbers_of_the_tables(shown: Plan, html: str) -> None:
    data = page_data(html, "plots")
    for testset in ("first", "second"):
        summary = pd.read_csv(shown.paths.table("main", testset, "csv")).dropna(subset=["mean"])
        for row in summary.to_dict("records"):
            found = data["sets"][testset]["summary"][row["protocol"]][row["entry"]]
            assert found[0] == pytest.approx(row["mean"], rel=1e-5)
    assert data["sets"]["first"]["absent"]["fid"] == ABSENT
    assert data["sets"]["first"]["images"]["names"] == ["a", "c", "tête & <b>"]


def test_the_front_is_what_nobody_beats_in_both(shown: Plan, html: str) -> None:
    """Against the definition, by brute force."""
    here = page_data(html, "plots")["sets"]["first"]
    psnr, lpips = ({name: row[0] for name, row in here["summary"][key].items()} for key in ("psnr_y", "lpips_alex"))
    names = [name for name in psnr if shown.entries[name].reads == "lr"]

    def beaten(name: str) -> bool:
        return any(
            psnr[other] >= psnr[name]
            and lpips[other] <= lpips[name]
            and (psnr[other], lpips[other]) != (psnr[name], lpips[name])
            for other in names
        )

    expected = {name for name in names if not beaten(name)}
    assert set(here["fronts"]["psnr_y lpips_alex"]) == expected
    assert len(expected) > 1


def test_the_published_curve_is_beside_ours(html: str) -> None:
    panels = page_data(html, "plots")["sets"]["first"]["codebook"]
    assert [line["sizes"] for line in panels["psnr_y"]] == [[8, 16], [8, 16]]
    texture, vanilla = panels["published"]
    assert (texture["sizes"], texture["means"]) == ([256, 512, 1024, 8192], [9.2, 8.6, 6.5, 5.9])
    assert (vanilla["sizes"], vanilla["means"]) == ([256, 512, 1024, 8192], [14.7, 13.0, 12.8, 11.0])


def test_many_images_are_thinned_by_rank() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    scores = pd.DataFrame(
        {"entry": "a", "protocol": "psnr_y", "image": [f"{n:04}" for n in range(1000)], "value": values}
    )
    found = distributions(scores)["of"]["psnr_y"]["a"]
    assert len(found["values"]) == IMAGES
    assert found["count"] == 1000
    assert found["values"][0] == pytest.approx(values.min(), rel=1e-5)
    assert found["values"][-1] == pytest.approx(values.max(), rel=1e-5)
    assert found["images"][-1] == values.argmax()
    assert found["quartiles"][2] == pytest.approx(np.median(values), abs=1e-5)


def test_cells_have_marks_where_the_table_has_them() -> None:
    row = pd.Series({"mean": 25.3149, "low": 24.0, "high": 26.0, "seed_sd": 0.5, "decimals": 2, "reason": None})
    plain = score_cell(row)
    assert plain == {"text": "25.31", "small": "[24.00, 26.00] ±0.50", "sort": "25.3149", "mark": "", "why": ""}
    assert score_cell(pd.concat([row, pd.Series({"mark": "best"})]))["mark"] == "best"
    assert score_cell(pd.concat([row, pd.Series({"mark": float("nan")})]))["mark"] == ""
    absent = score_cell(pd.Series({"mean": None, "reason": "no HR", "decimals": 2}))
    assert (absent["text"], absent["sort"], absent["why"]) == ("n/a", "", "no HR")


VERDICTS = ["ordering holds", "reproduced", "ordering reversed", "differs", "undecided", "not run", "protocol differs"]


def claims() -> list[dict[str, Any]]:
    common = {
        "kind": "ordering",
        "measured": "a 1, b 2",
        "reported": "-",
        "tested_on": "t",
        "published_on": "t",
        "protocol": "psnr_y",
    }
    rows = [
        {"claim": f"m.c{number}", "statement": f"Claim {number}.", "verdict": verdict, "trust": trust} | common
        for number, (verdict, trust) in enumerate(zip(VERDICTS, itertools.cycle(("ours", "primary")), strict=False))
    ]
    again = {
        "claim": "m.again",
        "statement": "The same in FID.",
        "verdict": "ordering holds",
        "trust": "digest",
    } | common
    return judged(pd.DataFrame([*rows, again]))


def test_the_answer_counts_what_was_judged() -> None:
    told = answer(claims(), {"psnr_y": "PSNR-Y"})
    counts = {
        part: {count["group"]: count["count"] for count in told[part]["counts"]} for part in ("published", "ours")
    }
    assert counts == {
        "published": {"holds": 2, "fails": 1, "open": 0, "apart": 0, "absent": 1},
        "ours": {"holds": 1, "fails": 1, "open": 1, "apart": 1, "absent": 0},
    }
    assert (told["published"]["judged"], told["ours"]["judged"], told["once"]) == (3, 3, 0)
    uncounted = answer([*claims(), claims()[0] | {"instead": "m.c1"}], {"psnr_y": "PSNR-Y"})
    assert uncounted == told
    holds = told["groups"][0]["first"]
    # Published ones first; what repeats a claim says which.
    assert [sentence for sentence, _ in holds] == ["Claim 1.", "Claim 6; in FID.", "Claim 0."]
    assert holds[0][1] == "PSNR-Y on t: a 1, b 2"


def test_libraries_are_packed_the_same_every_time() -> None:
    import gzip

    once = packed("datatables")
    assert once == packed("datatables")
    assert b"DataTables" in gzip.decompress(base64.b64decode(once))


def test_the_pages_key_follows_its_templates_and_scripts(
    tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    import tvqsr.plan.plan as plan_module
    from tvqsr.plan.method import PACKAGE

    folder = tmp_path / "package"
    shutil.copytree(PACKAGE / "report", folder / "report", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(plan_module, "PACKAGE", folder)
    before = tiny_plan.page_key()
    assert tiny_plan.page_key() == before
    for name in ("report.html", "report.css", "js/look.js", "sections/look.html"):
        with (folder / "report" / "templates" / name).open("a") as file:
            file.write("\n/* changed */\n")
        after = tiny_plan.page_key()
        assert after != before, name
        before = after
