"""Make a dataset ready: PNG pairs for a test set, one memory-mapped pixel store for a training set.

A manifest is written last.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.images import Pixels, read_image, write_png
from tvqsr.data.sources import Photos, obtain
from tvqsr.errors import UserError
from tvqsr.files import sha256, write_json, written_beside
from tvqsr.plan.preset import DatasetSpec

SCALE = 4


def prepare(dataset: DatasetSpec, folder: Path, for_training: bool, report: Callable[[str], None]) -> None:
    """Prepare a dataset in `folder`.

    HR is cut right and bottom to multiples of the scale; LR is MATLAB's bicubic, rounded to 8 bits.
    Training: `hr.u8` and `lr.u8`, all photos' samples one after another. Testing: `HR/*.png` and `LR/*.png`.
    `manifest.json` lists them.
    """
    for old in ("HR", "LR"):
        shutil.rmtree(folder / old, ignore_errors=True)
    photos = obtain(dataset, folder, report)
    pairs = _pairs(photos)
    images = _write_store(folder, pairs) if for_training else _write_pngs(folder, pairs)
    write_json(
        folder / "manifest.json",
        {
            "title": photos.title,
            "licence": photos.licence,
            "declared": dataset.model_dump(mode="json"),
            "role": "training" if for_training else "testing",
            "scale": SCALE,
            "images": images,
        },
    )
    report(f"{len(images)} photos, {sum(i['height'] * i['width'] for i in images) / 1e6:.1f} megapixels")


def _pairs(photos: Photos) -> Iterator[tuple[Path, Pixels, Pixels]]:
    for file in photos.files:
        hr = mod_crop(read_image(file), SCALE)
        if min(hr.shape[:2]) < SCALE:
            raise UserError(f"{file}: is smaller than {SCALE} x {SCALE} pixels")
        yield file, hr, downscale(hr, SCALE)


def _described(file: Path, hr: Pixels) -> dict[str, Any]:
    return {
        "name": file.stem,
        "source": file.name,
        "source_sha256": sha256(file),
        "height": hr.shape[0],
        "width": hr.shape[1],
    }


def _write_pngs(folder: Path, pairs: Iterator[tuple[Path, Pixels, Pixels]]) -> list[dict[str, Any]]:
    images = []
    for file, hr, lr in pairs:
        paths = {"hr": folder / "HR" / f"{file.stem}.png", "lr": folder / "LR" / f"{file.stem}.png"}
        write_png(paths["hr"], hr)
        write_png(paths["lr"], lr)
        images.append(_described(file, hr) | {f"{kind}_sha256": sha256(path) for kind, path in paths.items()})
    return images


def _write_store(folder: Path, pairs: Iterator[tuple[Path, Pixels, Pixels]]) -> list[dict[str, Any]]:
    images = []
    with (
        written_beside(folder / "hr.u8") as hr_path,
        written_beside(folder / "lr.u8") as lr_path,
        hr_path.open("wb") as hr_file,
        lr_path.open("wb") as lr_file,
    ):
        for file, hr, lr in pairs:
            hr_file.write(hr.tobytes())
            lr_file.write(lr.tobytes())
            pixels = hashlib.sha256(hr.tobytes() + lr.tobytes()).hexdigest()
            images.append(_described(file, hr) | {"pixels_sha256": pixels})
    return images
