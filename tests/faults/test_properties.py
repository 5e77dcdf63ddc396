"""Properties that hold for whatever is generated: of the plan, of scores, of reading and writing images."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import TINY
from tvqsr.data.images import read_image, to_pixels, write_png
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.paths import Paths
from tvqsr.plan.stored import parsed_plan, record
from tvqsr.score.picture import Picture
from tvqsr.score.protocols import PROTOCOLS

BASE: dict[str, Any] = yaml.safe_load(TINY.read_text())
ENTRIES: dict[str, Any] = BASE["entries"] | BASE["more_entries"]
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def presets(draw: st.DrawFn) -> dict[str, Any]:
    """Changes to the tiny preset that a user could make: entries, seeds, sets, tables, budgets, settings of a stage."""
    names = draw(st.lists(st.sampled_from(sorted(ENTRIES)), min_size=1, max_size=8, unique=True))
    extra = {
        f"copy_of_{name}": ENTRIES[name] for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    }
    rows = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    training = {
        "iterations": draw(st.integers(1, 10**6)),
        "batch_size": draw(st.integers(1, 64)),
        "ema": draw(st.floats(0, 0.9999)),
        "learning_rate": draw(st.floats(1e-8, 1.0)),
        "clip_norm": draw(st.floats(0, 10)),
    }
    return {
        "entries": {name: ENTRIES[name] for name in names} | extra,
        "more_entries": {},
        "seeds": draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True)),
        "training": BASE["training"] | training,
        "tables": {"some": {"title": draw(st.text(max_size=20)), "entries": rows}} if rows else {},
        "protocols": draw(st.lists(st.sampled_from(["psnr_y", "ssim_y", "lpips_alex"]), min_size=1, unique=True)),
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


def planned(place: Path, changes: Mapping[str, Any]) -> Plan:
    path = place / "made.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps({**BASE, **changes}))))
    return Plan.load(str(path))


@QUICK
@given(changes=presets())
def test_any_valid_preset_gives_an_acyclic_graph_with_unique_paths(place: Path, changes: dict[str, Any]) -> None:
    plan = planned(place, changes)
    seen: set[str] = set()
    for name, run in plan.runs.items():
        assert name == run.name
        assert {need.name for need in run.needs.values()} <= seen, "the needed come before the needing"
        seen.add(name)
    paths = [path for name, seed in plan.made() for path in _of_run(plan.paths, name, seed)]
    for entry in plan.entries.values():
        for seed in entry.seeds:
            for testset in plan.test_sets(entry.name):
                paths += [
                    plan.paths.images_record(entry.name, seed, testset),
                    plan.paths.scores(entry.name, seed, testset),
                ]
    for table in plan.tables:
        paths += [plan.paths.table(table, testset, "csv") for testset in plan.table_sets(table)]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(plan.paths.root) and ".." not in path.parts for path in paths)


def _of_run(paths: Paths, run: str, seed: int) -> list[Path]:
    return [paths.weights(run, seed), paths.run_record(run, seed), paths.curve(run, seed)]


@QUICK
@given(changes=presets())
def test_a_plan_comes_back_from_its_file(place: Path, changes: dict[str, Any]) -> None:
    plan = planned(place, changes)
    again = parsed_plan(json.loads(json.dumps(record(plan))), plan.paths.root)
    assert record(again) == record(plan)
    assert [again.train_key(run) for run in again.runs] == [plan.train_key(run) for run in plan.runs]


@QUICK
@given(changes=presets(), other=st.integers(1, 10**6))
def test_runs_of_one_name_compute_the_same(place: Path, changes: dict[str, Any], other: int) -> None:
    """Another budget, another name; the order of entries and what is shown of them, the same."""
    plan = planned(place, changes)
    turned = changes | {"entries": dict(reversed(changes["entries"].items())), "description": "other words"}
    assert set(planned(place, turned).runs) == set(plan.runs)
    changed = planned(place, changes | {"training": changes["training"] | {"iterations": other}})
    if other == changes["training"]["iterations"]:
        assert set(changed.runs) == set(plan.runs)
    else:
        assert not set(changed.runs) & set(plan.runs)


def _photos(seed: int, height: int, width: int, count: int = 2) -> list[Any]:
    """Photos of noise about a level, often beyond what 8 bits hold: from nearly flat to black and white."""
    rng = np.random.default_rng(seed)
    level, spread = rng.uniform(0, 255), rng.choice([0.0, 1.0, 20.0, 300.0])
    noise = rng.normal(level, spread, (count, height, width, 3))
    return list(noise.round().clip(0, 255).astype(np.uint8))


SEEDS = st.integers(0, 2**32 - 1)
PAIRS = st.builds(_photos, SEEDS, st.integers(19, 40), st.integers(19, 40))
FORMULAS = ("psnr_y", "psnr_rgb", "ssim_y", "ssim_rgb")


def score(name: str, sr: Any, hr: Any, border: int = 0) -> float:
    protocol = PROTOCOLS[name]
    assert protocol.of_pair
    return float(protocol.of_pair(Picture(sr).without_border(border), Picture(hr).without_border(border), "cpu"))


@pytest.mark.parametrize("name", FORMULAS)
@QUICK
@given(pair=PAIRS)
def test_scores_are_symmetric_bounded_and_best_for_the_same(name: str, pair: list[Any]) -> None:
    sr, hr = pair
    value, best = score(name, sr, hr), score(name, hr, hr)
    assert value == pytest.approx(score(name, hr, sr), rel=1e-5, abs=1e-6)
    assert value <= best + 1e-6
    if name.startswith("ssim"):
        assert best == pytest.approx(1.0, abs=1e-6)
        assert -1 - 1e-6 <= value <= 1 + 1e-6
    else:
        assert value + 1e-6 >= 0


@pytest.mark.parametrize("name", FORMULAS)
@QUICK
@given(pair=PAIRS)
def test_scores_do_not_depend_on_which_way_up_both_are(name: str, pair: list[Any]) -> None:
    turned = [np.ascontiguousarray(np.rot90(pixels)[:, ::-1]) for pixels in pair]
    assert score(name, pair[0], pair[1]) == pytest.approx(score(name, turned[0], turned[1]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", FORMULAS)
@QUICK
@given(pair=PAIRS, seed=SEEDS)
def test_what_is_cropped_counts_for_nothing(name: str, pair: list[Any], seed: int) -> None:
    (ring,), framed = _photos(seed, 64, 64, 1), []
    for pixels in pair:
        height, width = pixels.shape[:2]
        frame = ring[: height + 8, : width + 8].copy()
        frame[4:-4, 4:-4] = pixels
        framed.append(frame)
    other = framed[0].copy()
    other[:4] = 255 - other[:4]
    assert score(name, other, framed[1], border=4) == pytest.approx(score(name, pair[0], pair[1]), rel=1e-6, abs=1e-9)


@QUICK
@given(photos=st.builds(_photos, SEEDS, st.integers(1, 40), st.integers(1, 40)))
def test_images_of_any_size_survive_a_round_trip(place: Path, photos: list[Any]) -> None:
    pixels = photos[0]
    write_png(place / "round.png", pixels)
    assert np.array_equal(read_image(place / "round.png"), pixels)


@QUICK
@given(values=st.lists(st.floats(-2, 3, width=32), min_size=12, max_size=12))
def test_rounding_keeps_to_8_bits_and_comes_back(values: list[float]) -> None:
    unit = np.array(values, np.float32).reshape(2, 2, 3)
    pixels = to_pixels(unit)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels / 255 - np.clip(unit, 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(to_pixels(pixels.astype(np.float32) / 255), pixels)


MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
FORMATS = ("PNG", "TIFF", "JPEG", "BMP", "WEBP", "PPM", "GIF")


@settings(QUICK, max_examples=60)
@given(mode=st.sampled_from(MODES), kind=st.sampled_from(FORMATS), side=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_mode_is_read_as_8_bit_rgb_or_refused_by_name(
    place: Path, mode: str, kind: str, side: int, seed: int
) -> None:
    """8 bits of grey, palette, RGB or opaque alpha are read; more bits, CMYK and transparency are the user's choice."""
    rng = np.random.default_rng(seed)
    try:
        image = Image.fromarray(rng.integers(0, 256, (side, side + 3, 3), dtype=np.uint8)).convert(mode)
        file = io.BytesIO()
        image.save(file, kind)
    except (OSError, ValueError, KeyError):
        return  # Pillow does not write this.
    path = place / f"any.{kind.lower()}"
    path.write_bytes(file.getvalue())
    stored = Image.open(path).mode
    try:
        pixels = read_image(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ")
        assert stored not in ("1", "L", "P", "RGB"), error
    else:
        assert pixels.shape == (side, side + 3, 3)
        assert pixels.dtype == np.uint8
        assert stored not in ("CMYK", "LAB", "HSV", "I", "I;16", "F")
