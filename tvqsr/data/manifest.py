"""Reading prepared test sets, with every file checked against the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tvqsr.data.images import Pixels, read_image
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256

SCALE = 4
"""How many times as large HR is as LR, a side, in every prepared set."""


@dataclass(frozen=True)
class Pair:
    """A test photo: its name and its two PNGs; HR is None in a set that has none."""

    name: str
    hr_path: Path | None
    lr_path: Path

    def hr(self) -> Pixels | None:
        return read_image(self.hr_path) if self.hr_path else None

    def lr(self) -> Pixels:
        return read_image(self.lr_path)


def read_pairs(folder: Path) -> Iterator[Pair]:
    """Pairs of a prepared test set, in the manifest's order. Raises UserError for a file that is missing or changed."""
    for image in read_json(folder / "manifest.json")["images"]:
        if Path(image["name"]).name != image["name"]:
            raise UserError(f"{folder / 'manifest.json'}: `{image['name']}` is no plain name of a photo")
        paths = {kind: folder / kind.upper() / f"{image['name']}.png" for kind in ("hr", "lr")}
        present = {kind: path for kind, path in paths.items() if f"{kind}_sha256" in image}
        for kind, path in present.items():
            check_file(path, image[f"{kind}_sha256"])
        yield Pair(image["name"], present.get("hr"), present["lr"])


def check_file(path: Path, expected: str) -> None:
    """Raise UserError unless the file is there and has that SHA-256."""
    if not path.is_file():
        raise UserError(
            f"{path}: missing, though the record beside it lists it; delete the record and run snakemake again"
        )
    if sha256(path) != expected:
        raise UserError(f"{path}: changed since it was written; delete the record beside it and run snakemake again")
