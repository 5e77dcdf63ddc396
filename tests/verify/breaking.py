"""Every way in which a bundle is broken, what checks that fails, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from tvqsr.files import read_json, write_json
from tvqsr.verify.outcome import Outcome
from tvqsr.verify.sample import Sample
from tvqsr.verify.verify import verify

EVERY = Sample(99, 0)
Break = Callable[[Path], object]


def change(path: Path, change: Callable[[Any], object]) -> None:
    content = read_json(path)
    change(content)
    write_json(path, content)


def failures(bundle: Path) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in verify(bundle, EVERY):
        if outcome.status == "failed":
            found.setdefault(outcome.check, []).append(outcome)
    return found


def _score(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    table = pd.read_parquet(path)
    table["value"] += 0.01 * (table.index == 0)
    table.to_parquet(path, index=False)


def _score_twice(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    table = pd.read_parquet(path)
    pd.concat([table, table[:1]]).to_parquet(path, index=False)


def _of_scores(edit: Callable[[pd.DataFrame], object], entry: str = "vq") -> Break:
    def change(bundle: Path) -> None:
        path = bundle / f"scores/{entry}/seed0/photos_test.parquet"
        table = pd.read_parquet(path)
        edit(table)
        table.to_parquet(path, index=False)

    return change


def told_as(**columns: Any) -> Break:
    """Other words beside every score of an entry."""

    def edit(table: pd.DataFrame) -> None:
        for key, value in columns.items():
            assert key in table
            table[key] = value

    return _of_scores(edit)


def _n_a(table: pd.DataFrame) -> None:
    rows = (table.protocol == "psnr_y") & (table.image == "test2")
    table.loc[rows, "value"] = float("nan")
    table["reason"] = table.reason.astype(object).where(~rows, "weights absent: somewhere")


def _redefined_and_better(table: pd.DataFrame) -> None:
    table["definition"] += " "
    table.loc[table.image == "test3", "value"] += 6.0


def _endless_scores(bundle: Path) -> None:
    path = bundle / "scores/vq/seed0/photos_test.parquet"
    table = pd.read_parquet(path)
    table.loc[table.index.repeat(3000)].to_parquet(path, index=False)


def _score_left_out(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    pd.read_parquet(path)[1:].to_parquet(path, index=False)


def swapped_image(bundle: Path) -> None:
    images = bundle / "images/vq/seed0/photos_test"
    shutil.copy(images / "test0.png", images / "test1.png")


def _swapped_photo(bundle: Path) -> None:
    photos = bundle / "data/photos_test/HR"
    shutil.copy(photos / "test0.png", photos / "test1.png")


def _added_image(bundle: Path) -> None:
    images = bundle / "images/vq/seed0/photos_test"
    shutil.copy(images / "test0.png", images / "best.png")


def _other_pixels(bundle: Path) -> None:
    path = bundle / "data/photos_train/hr.u8"
    pixels = np.fromfile(path, np.uint8)
    pixels[7] ^= 1
    pixels.tofile(path)


def text(name: str, old: str, new: str) -> Break:
    def edit(bundle: Path) -> None:
        path = bundle / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))

    return edit


def _record(pattern: str, edit: Callable[[Any], object]) -> Break:
    return lambda bundle: change(next(bundle.glob(pattern)), edit)


def _without(pattern: str) -> Break:
    return lambda bundle: next(bundle.glob(pattern)).unlink()


def _edited_mean(bundle: Path) -> None:
    path = bundle / "tables/main.photos_test.csv"
    table = pd.read_csv(path)
    table["mean"] += 1.0 * (table.entry == "vq")
    table.to_csv(path, index=False)


def edited_cell(kind: str) -> Break:
    def edit(bundle: Path) -> None:
        path = bundle / f"tables/main.photos_test.{kind}"
        table = pd.read_csv(bundle / "tables/main.photos_test.csv")
        mean = f"{table[(table.entry == 'hr_copy') & (table.protocol == 'psnr_y')]['mean'].iloc[0]:.2f}"
        path.write_text(path.read_text().replace(mean, "81.00", 1))

    return edit


def _claims(edit: Callable[[list[str]], list[str]]) -> Break:
    def change(bundle: Path) -> None:
        path = bundle / "claims.csv"
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *edit(rows)]) + "\n")

    return change


def _row_twice(kind: str) -> Break:
    """A line of numbers once more, in place of the one after it."""

    def edit(bundle: Path) -> None:
        path = bundle / f"tables/main.photos_test.{kind}"
        lines = path.read_text().splitlines()
        mark = "|" if kind == "md" else "&"
        last = max(number for number, line in enumerate(lines) if mark in line)
        lines[last] = lines[last - 1]
        path.write_text("\n".join(lines) + "\n")

    return edit


def _other_weights(bundle: Path) -> None:
    path = next(bundle.glob("runs/vq.predictor-*/seed0/weights.safetensors"))
    tensors = load_file(path)
    save_file({name: values + 1 for name, values in tensors.items()}, path, {"run": path.parent.parent.name})


def _one_seed_for_two(bundle: Path) -> None:
    """As somebody would who trained once: weights, losses and images copied, and the hashes in the records mended."""
    for run in bundle.glob("runs/*"):
        for name in ("weights.safetensors", "curve.csv"):
            shutil.copy(run / "seed0" / name, run / "seed1" / name)
    records = [*bundle.glob("runs/*/seed1/run.json"), *bundle.glob("images/*/seed1/*/run.json")]
    for path in records:
        before = read_json(Path(str(path).replace("seed1", "seed0")))
        write_json(path, before | {"seed": 1})
    for folder in bundle.glob("images/*/seed1/photos_test"):
        for image in Path(str(folder).replace("seed1", "seed0")).glob("*.png"):
            shutil.copy(image, folder)


def _image_not_recorded(record: dict[str, Any]) -> None:
    del record["images"]["test1"]


def _end_of_a_curve(bundle: Path) -> None:
    path = next(bundle.glob("runs/vq.predictor-*/seed0/curve.csv"))
    *lines, last = path.read_text().splitlines()
    step, _, rest = last.partition(",")
    path.write_text("\n".join([*lines, f"{step},0.5{rest.lstrip('-0123456789.e')}"]) + "\n")


def _shared_photo(record: dict[str, Any]) -> None:
    record["test_sets"]["photos_test"]["shared"].append({"training": "train0", "test": "test0"})


def _no_hash_of_data(record: dict[str, Any]) -> None:
    del record["inputs_sha256"]["data"]


BROKEN: dict[str, tuple[Break, set[str], str]] = {
    "a score": (_score, {"rescored", "tables"}, "the table has"),
    "a score twice": (_score_twice, {"scores", "tables"}, "under psnr_y twice"),
    "a score left out": (_score_left_out, {"scores", "rescored", "tables"}, "lacks 1 rows: test0 under psnr_y"),
    "an ordering turned round": (told_as(higher_is_better=False), {"scores", "tables"}, "has higher_is_better `False`"),
    "a protocol's title": (
        told_as(title="PSNR of us"),
        {"scores", "tables"},
        "has title `PSNR of us`, where this version",
    ),
    # Numbers of two borders are made no table or verdict of.
    "a protocol's crop": (told_as(crop=7), {"scores", "tables", "verdicts"}, "has crop `7`"),
    "a protocol's decimals": (told_as(decimals=1), {"scores", "tables"}, "has decimals `1`"),
    "a protocol's colours": (told_as(colours="grey"), {"scores", "tables"}, "has colours `grey`"),
    "a protocol's rounding": (told_as(rounding="none at all"), {"scores", "tables"}, "has rounding `none at all`"),
    "a protocol's network": (told_as(network="ours"), {"scores", "tables"}, "has network `ours`"),
    "a score of a protocol defined otherwise": (
        _of_scores(_redefined_and_better),
        {"rescored", "tables"},
        "test3 under psnr_y is ",
    ),
    "a score hidden as n/a": (_of_scores(_n_a), {"rescored", "tables"}, "test2 under psnr_y is "),
    "millions of scores": (_endless_scores, {"scores"}, "has 24000 rows, where "),
    "scores of an entry missing": (
        _without("scores/vq/seed1/photos_test.parquet"),
        {"scores", "tables", "verdicts"},
        "missing, though other scores are there",
    ),
    "an image swapped": (swapped_image, {"images"}, "SHA-256 is not the recorded one"),
    "an image missing": (
        _without("images/vq/seed0/photos_test/test1.png"),
        {"images"},
        "missing",
    ),
    "an image added": (_added_image, {"images"}, "images that no record lists: best"),
    "an image not recorded": (
        _record("images/vq/seed0/photos_test/run.json", _image_not_recorded),
        {"images", "scores", "tables", "verdicts"},
        "record and test set differ in test1",
    ),
    "a photo swapped": (_swapped_photo, {"photos"}, "SHA-256 is not the recorded one"),
    "pixels of a training photo": (_other_pixels, {"photos"}, "pixels of train0"),
    "other weights": (_other_weights, {"weights"}, "SHA-256 is not the one that records name"),
    "one seed for two": (_one_seed_for_two, {"seeds", "rescored", "tables", "verdicts"}, "these are not two seeds"),
    "a mean": (_edited_mean, {"tables"}, "mean:"),
    "a cell in Markdown": (edited_cell("md"), {"tables"}, "81.00"),
    "a cell in LaTeX": (edited_cell("tex"), {"tables"}, "81.00"),
    "a header in Markdown": (
        text("tables/main.photos_test.md", "PSNR-Y ↑", "PSNR-Y  (dB) ↑"),
        {"tables"},
        "is not laid out as here",
    ),
    "a header in LaTeX": (
        text("tables/main.photos_test.tex", "Entry & ", "Entries & "),
        {"tables"},
        "is not laid out as here",
    ),
    "a table missing": (
        _without("tables/main.photos_test.md"),
        {"tables"},
        "tables/main.photos_test.md: missing",
    ),
    "a verdict": (text("claims.csv", ",not run,", ",ordering holds,"), {"verdicts"}, "but the scores give `not run`"),
    "what counts": (text("claims.csv", ",tvqrap.codebook_whole\n", ",\n"), {"verdicts"}, "counts by `itself`, but by"),
    "a verdict left out": (_claims(lambda rows: rows[1:]), {"verdicts"}, "is left out of claims.csv"),
    "a verdict twice": (_claims(lambda rows: [*rows, rows[-1]]), {"verdicts"}, "has more than one row in claims.csv"),
    "a verdict's reason": (
        text("claims.csv", "at the paper's scale only", "at any scale"),
        {"verdicts"},
        "why is `values are judged at any scale",
    ),
    "a row twice in Markdown": (_row_twice("md"), {"tables"}, "instead of `| "),
    "a row twice in LaTeX": (_row_twice("tex"), {"tables"}, "instead of `"),
    "a caption": (
        text("tables/main.photos_test.md", "Mean over images", "Median over images"),
        {"tables"},
        "is not what is written here",
    ),
    "a note": (
        text("tables/main.photos_test.tex", "border cropped", "border kept"),
        {"tables"},
        "is not what is written here",
    ),
    "a record missing": (
        _without("runs/*/seed0/run.json"),
        {"provenance"},
        "run.json: missing",
    ),
    "the end of a curve": (
        _end_of_a_curve,
        {"provenance"},
        "does not end as run.json says",
    ),
    "who made it": (
        _record("runs/*/seed0/run.json", lambda record: record["made_by"].pop("machine")),
        {"provenance"},
        "`made_by` lacks machine",
    ),
    "what it was made of": (_record("runs/*/seed0/run.json", _no_hash_of_data), {"provenance"}, "its inputs data"),
    "other settings": (
        _record("runs/vq.tokenizer-*/seed0/run.json", lambda record: record["settings"].update(codebook_size=9)),
        {"provenance"},
        "it differs in settings",
    ),
    "no comparison with the test sets": (
        _without("data/photos_train/overlap.json"),
        {"overlaps"},
        "not compared with the test sets",
    ),
    "a test photo in the training photos": (
        _record("data/photos_train/overlap.json", _shared_photo),
        {"overlaps"},
        "`train0` is `test0` of photos_test",
    ),
}
