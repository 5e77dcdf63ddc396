"""The pixel store of a training set: all HR in one file of 8-bit samples and all LR in another, one after another.

Memory-mapped, so that opening reads nothing, and what training touches is the system's file cache, not its own memory.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvqsr.data.images import Pixels, decoded, stored_size
from tvqsr.errors import UserError
from tvqsr.files import read_json, written_beside

HR_FILE, LR_FILE = "hr.u8", "lr.u8"


class UndecodableError(Exception):
    """A photo's file is damaged behind its header, and was so from the first: the same for whoever reads it."""


@dataclass(frozen=True)
class Photo:
    """One photo of a training set: memory-mapped HR (H, W, 3) and LR (H/4, W/4, 3), or a file to be decoded."""

    name: str
    pixels: tuple[Pixels, Pixels] | None = None
    path: Path | None = None
    sha256: str | None = None
    """Of the memory-mapped pixels."""
    length: int | None = None
    """Of the file, in bytes."""

    def check(self) -> None:
        """Raise UserError for memory-mapped pixels that are not those of the manifest."""
        if self.pixels is None or self.sha256 is None:
            return
        hashed = hashlib.sha256()
        for samples in self.pixels:
            hashed.update(np.ascontiguousarray(samples).data)
        if hashed.hexdigest() != self.sha256:
            raise UserError(
                f"{HR_FILE} or {LR_FILE}: the pixels of `{self.name}` changed since they were written; "
                f"delete the manifest.json beside them and run snakemake again"
            )

    def hr(self) -> Pixels:
        """Raises UndecodableError for a file that is what it was when it was listed, but no whole image.

        UserError for one that is not: what is drawn then must not depend on when it was looked for.
        """
        if self.pixels:
            return self.pixels[0]
        assert self.path
        content = self._content(self.path)
        try:
            return decoded(content, self.path)
        except UserError as error:
            raise UndecodableError(str(error)) from None

    def _content(self, path: Path) -> bytes:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{path}: a photo to train on cannot be read any more ({error.strerror}); once it can be, run the same "
                f"command to go on from the last checkpoint"
            ) from None
        if self.length not in (None, len(content)):
            raise UserError(
                f"{path}: a photo to train on has {len(content)} bytes and had {self.length} when it was prepared; "
                f"bring it back, or delete the set's manifest.json and run snakemake again"
            )
        return content


def check_disk(folder: Path, photos: Collection[Path], multiple: int, scale: int) -> None:
    """Raise UserError unless the disk of `folder` has room for the store of photos cut to `multiple`.

    Only headers are read. Raises UserError for one that is damaged or of a kind that is refused.
    """
    areas = ((side - side % multiple for side in stored_size(path)) for path in photos)
    hr_bytes = sum(3 * width * height for width, height in areas)
    need = hr_bytes + hr_bytes // scale**2
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"{folder}: the pixels of {len(photos)} photos need {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free; "
            f"make room, or run where there is more (`results/` may be a link)"
        )


def write_store(folder: Path, pairs: Iterable[tuple[dict[str, Any], Pixels, Pixels]]) -> list[dict[str, Any]]:
    """Write HR and LR of each pair (description, HR, LR); returns the descriptions, each with its pixels' SHA-256.

    Memory holds one pair at a time. Either file takes its name only when both are whole.
    """
    images = []
    with (
        written_beside(folder / HR_FILE) as hr_path,
        written_beside(folder / LR_FILE) as lr_path,
        hr_path.open("wb") as hr_file,
        lr_path.open("wb") as lr_file,
    ):
        for image, *pixels in pairs:
            hashed = hashlib.sha256()
            for samples, file in zip(pixels, (hr_file, lr_file), strict=True):
                packed = np.ascontiguousarray(samples).data
                file.write(packed)
                hashed.update(packed)
            images.append(image | {"pixels_sha256": hashed.hexdigest()})
    return images


def open_store(folder: Path) -> tuple[list[Photo], int]:
    """Photos of a prepared training set and its scale. Raises UserError for a test set or a store of another length."""
    manifest = read_json(folder / "manifest.json")
    if manifest["role"] != "training":
        raise UserError(f"{folder}: was prepared for testing, not for training")
    images, scale = manifest["images"], manifest["scale"]
    if manifest["declared"]["store"] == "files":
        return [Photo(image["name"], path=Path(image["path"]), length=image.get("bytes")) for image in images], scale
    total = sum(3 * image["height"] * image["width"] for image in images)
    hr, lr = (_mapped(folder, folder / name, size) for name, size in ((HR_FILE, total), (LR_FILE, total // scale**2)))
    photos, start = [], 0
    for image in images:
        h, w = image["height"], image["width"]
        stop = start + 3 * h * w
        small = lr[start // scale**2 : stop // scale**2].reshape(h // scale, w // scale, 3)
        pixels = (hr[start:stop].reshape(h, w, 3), small)
        photos.append(Photo(image["name"], pixels, sha256=image.get("pixels_sha256")))
        start = stop
    return photos, scale


def _mapped(folder: Path, path: Path, expected: int) -> Pixels:
    if not path.is_file() or path.stat().st_size != expected:
        raise UserError(
            f"{path}: missing or not {expected} bytes long; delete {folder / 'manifest.json'} and run snakemake again"
        )
    return np.memmap(path, np.uint8, mode="r")
