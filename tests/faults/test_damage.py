"""Damaged files are refused by name or made anew; numbers that are not of one another are in no table."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command
from tests.faults.damage import READERS, Damage, outcome, swept
from tvqsr.files import read_json, write_json
from tvqsr.plan.stored import stored_plan
from tvqsr.rows import read_rows, write_rows


@pytest.mark.parametrize("kind", READERS)
def test_bits_turned_round_and_files_cut_off_are_seen(copy: Path, kind: str) -> None:
    found = swept(copy, kind, flips=40, cuts=8)
    wrong = {what: count for what, count in found.items() if what.startswith("WRONG")}
    assert not wrong
    # Of the sample, next to all must be told; in JSON a bit of a key's first sight may be harmless, of Parquet padding.
    assert found["refused"] + found["made anew"] >= 0.6 * sum(found.values())


def flipped(path: Path) -> None:
    """Turn a bit round near the middle; of Parquet, the first from there on that is none of padding or of a copy."""
    content = path.read_bytes()
    for position in range(len(content) // 2, len(content)):
        path.write_bytes(Damage(position, 2).of(content))
        if path.suffix != ".parquet" or outcome(READERS["scores"][1], path.parent, path, None) == "refused":
            return


CASES = {
    "weights": ("runs/vq.tokenizer-*/seed0/weights.safetensors", ("upscale-entry", "vq_rec", "photos_test")),
    "weights of a need": ("runs/vq.tokenizer-*/seed0/weights.safetensors", ("train", "vq.predictor-*")),
    "training's record": ("runs/vq.tokenizer-*/seed0/run.json", ("table", "main")),
    "scores": ("scores/vq/seed1/photos_test.parquet", ("table", "main")),
    "images' record": ("images/vq/seed1/photos_test/run.json", ("table", "main")),
    "image": ("images/vq/seed0/photos_test/test1.png", ("score-entry", "vq", "photos_test")),
    "image shown": ("images/vq/seed0/photos_test/test1.png", ("figure", "strip.main")),
    "manifest": ("data/photos_test/manifest.json", ("score-entry", "vq", "photos_test")),
    "photo": ("data/photos_test/LR/test2.png", ("upscale-entry", "bicubic", "photos_test")),
    "plan": ("plan.json", ("table", "main")),
    "pixels": ("data/photos_train/hr.u8", ("train", "vq.tokenizer-*")),
}


@pytest.mark.parametrize("what", CASES)
def test_the_step_that_reads_it_says_so_in_one_line(copy: Path, tvqsr: Command, what: str) -> None:
    pattern, words = CASES[what]
    file = next(copy.glob(pattern))
    for written in [*copy.glob("tables/*"), *copy.glob("runs/*/seed0/state"), *copy.glob("figures/*")]:
        shutil.rmtree(written) if written.is_dir() else written.unlink()
    flipped(file)
    names = [next(copy.glob(f"runs/{word}")).name if "*" in word else word for word in words[1:]]
    result = tvqsr(words[0], copy, *names)
    assert result.returncode == 2, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("tvqsr: error: ")]
    assert file.name in line or (what == "pixels" and "hr.u8" in line)
    assert "Traceback" not in result.stderr
    assert not list(copy.glob("tables/*"))


@pytest.mark.parametrize("step", [("report",), ("show",), ("check",), ("figure", "curves.main")])
def test_no_changed_digit_is_shown(copy: Path, tvqsr: Command, step: tuple[str, ...]) -> None:
    """Of what is kept as CSV: any parser takes one digit for another."""
    kind = {"check": "claims.csv", "figure": "runs/vq.tokenizer-*/seed0/curve.csv"}
    file = next(copy.glob(kind.get(step[0], "tables/main.photos_test.csv")))
    content = file.read_text()
    file.write_text(re.sub(r"(?<=\d\.)\d", lambda digit: str((int(digit[0]) + 1) % 10), content, count=1))
    assert file.read_text() != content
    result = tvqsr(step[0], copy, *step[1:])
    assert result.returncode == 2, result.stdout
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("tvqsr: error: ")]
    assert f"{file}: damaged, or changed by hand" in line and "delete it and run snakemake again" in line


def test_a_damaged_checkpoint_costs_time_alone(copy: Path, tvqsr: Command) -> None:
    run = next(copy.glob("runs/vq.tokenizer-*"))
    before = (run / "seed0" / "weights.safetensors").read_bytes()
    flipped(run / "seed0" / "state" / "checkpoint.pt")
    result = tvqsr("train", copy, run.name)
    assert result.returncode == 0, result.stderr
    assert "damaged checkpoint ignored, starting afresh" in result.stderr
    assert (run / "seed0" / "weights.safetensors").read_bytes() == before


def other_weights(root: Path) -> None:
    """As after a training by other code, the clock set back, and a kill before its images were made."""
    path = next(root.glob("runs/vq.tokenizer-*/seed0/run.json"))
    write_json(path, read_json(path) | {"weights_sha256": "0" * 64})


def other_images(root: Path) -> None:
    path = root / "images" / "vq" / "seed0" / "photos_test" / "run.json"
    record = read_json(path)
    record["images"]["test1"]["sha256"] = "0" * 64
    write_json(path, record)


def other_photos(root: Path) -> None:
    path = root / "data" / "photos_test" / "manifest.json"
    write_json(path, read_json(path) | {"title": "Other photos"})


def other_training_photos(root: Path) -> None:
    path = root / "data" / "photos_train" / "manifest.json"
    write_json(path, read_json(path) | {"title": "Other photos"})


def other_border(root: Path) -> None:
    """As scored under a plan that lay there meanwhile."""
    path = root / "scores" / "vq" / "seed0" / "photos_test.parquet"
    rows, made_of = read_rows(path)
    assert made_of
    rows.loc[rows.protocol == "psnr_y", "crop"] = 0
    write_rows(path, rows, made_of)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_border, "psnr_y has a border of 0 left out, in other entries it is 4"),
        (other_weights, "was made of other weights than "),
        (other_images, "was made of other images than "),
        (other_photos, "was made of other photos than "),
        (other_training_photos, "was made of other photos than "),
    ],
)
def test_numbers_of_other_files_than_those_there_are_in_no_table(
    copy: Path, tvqsr: Command, change: Callable[[Path], None], told: str
) -> None:
    assert tvqsr("table", copy, "main").returncode == 0
    change(copy)
    for path in copy.glob("tables/*"):
        path.unlink()
    result = tvqsr("table", copy, "main")
    assert result.returncode == 2
    assert told in result.stderr
    assert not list(copy.glob("tables/*"))


def test_results_that_were_moved_give_the_same_table(copy: Path, tvqsr: Command) -> None:
    table = copy / "tables" / "main.photos_test.csv"
    before = table.read_bytes()
    table.unlink()
    assert tvqsr("table", copy, "main").returncode == 0
    assert table.read_bytes() == before
    assert tvqsr("upscale-entry", copy, "vq", "photos_test").returncode == 0
    assert tvqsr("score-entry", copy, "vq", "photos_test").returncode == 0
    table.unlink()
    assert tvqsr("table", copy, "main").returncode == 0
    assert table.read_bytes() == before


def test_a_vanished_input_is_named(copy: Path, tvqsr: Command) -> None:
    for name, words in (
        ("data/photos_test/LR/test0.png", ("upscale-entry", "vq", "photos_test")),
        ("data/photos_train/hr.u8", ("train", stored_plan(copy).run(next(iter(stored_plan(copy).runs))).name)),
        ("scores/vq/seed0/photos_test.parquet", ("table", "main")),
        ("data/photos_test/manifest.json", ("score-entry", "vq_rec", "photos_test")),
    ):
        (copy / name).rename(copy / "elsewhere")
        result = tvqsr(words[0], copy, *words[1:])
        (copy / "elsewhere").rename(copy / name)
        assert result.returncode == 2, name
        assert result.stderr.count("tvqsr: error: ") == 1
        assert Path(name).name in result.stderr


def test_weights_that_a_training_needs_and_that_are_gone_are_told_with_what_makes_them(
    copy: Path, tvqsr: Command
) -> None:
    run = next(copy.glob("runs/vq.predictor-*"))
    for written in (
        next(copy.glob("runs/vq.tokenizer-*/seed0/weights.safetensors")),
        run / "seed0/weights.safetensors",
    ):
        written.unlink()
    result = tvqsr("train", copy, run.name)
    assert result.returncode == 2
    assert "weights.safetensors: missing; run snakemake with the preset" in result.stderr


def test_rows_come_back_to_the_bit(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"value": [0.1, 1 / 3, float("nan")], "reason": [None, None, "absent"], "image": ["a", "é", ""]}
    )
    write_rows(tmp_path / "a.parquet", rows, "origin")
    found, made_of = read_rows(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(found, rows)
    assert made_of == "origin"
    assert pd.read_parquet(tmp_path / "a.parquet").equals(found)
