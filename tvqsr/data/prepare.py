"""Make a dataset ready: PNG pairs for a test set; a memory-mapped pixel store or a list of files for a training set.

A manifest is written last.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tvqsr.data.images import Pixels, listed, read_image, write_png
from tvqsr.data.lr import cut_hr, make_lr
from tvqsr.data.sources import Photos, obtain
from tvqsr.errors import UserError
from tvqsr.files import sha256, write_json, written_beside
from tvqsr.plan.preset import DatasetSpec

SCALE = 4


def prepare(
    dataset: DatasetSpec,
    folder: Path,
    for_training: bool,
    report: Callable[[str], None],
    data_folder: str = "datasets",
) -> None:
    """Prepare a dataset in `folder`; sets got by hand lie in `data_folder`.

    HR of which LR is made is first cut right and bottom to multiples of `multiple`. LR is the set's own, or made as
    `degradation` says, and rounded to 8 bits. Testing: `HR/*.png` and `LR/*.png`. Training: `hr.u8` and `lr.u8`, all
    photos' samples one after another, or with `store: files` the photos where they are. `manifest.json` lists them.
    """
    for old in ("HR", "LR"):
        shutil.rmtree(folder / old, ignore_errors=True)
    photos = obtain(dataset, data_folder, folder, report)
    left_out: list[dict[str, str]] = []
    if not for_training:
        images = _write_pngs(folder, photos, dataset)
    elif not photos.hr:
        raise UserError(f"{photos.title}: has no HR and cannot be trained on")
    elif dataset.store == "files":
        images, left_out = _list_files(photos, report)
    else:
        images = _write_store(folder, _made_pairs(photos, dataset))
    write_json(
        folder / "manifest.json",
        {
            "title": photos.title,
            "licence": photos.licence,
            "declared": dataset.model_dump(mode="json"),
            "role": "training" if for_training else "testing",
            "degradation": "as given" if photos.lr else dataset.degradation,
            "scale": SCALE,
            "images": images,
            "left_out": left_out,
        },
    )
    megapixels = sum(i["height"] * i["width"] for i in images) / 1e6
    report(f"{len(images)} photos, {megapixels:.1f} megapixels")


def _made_pairs(photos: Photos, dataset: DatasetSpec) -> Iterator[tuple[str, Path, Pixels, Pixels]]:
    """Name, file, HR and LR made of it."""
    for name, file in photos.hr.items():
        hr = cut_hr(read_image(file), dataset.multiple, file)
        yield name, file, hr, make_lr(hr, dataset.degradation, name, SCALE)


def _given_pairs(photos: Photos) -> Iterator[tuple[str, Path, Pixels | None, Pixels]]:
    """Name, file, HR (None where there is none) and the set's own LR. Raises UserError where sizes do not fit."""
    for name, file in photos.lr.items():
        lr = read_image(file)
        hr = read_image(photos.hr[name]) if photos.hr else None
        if hr is not None and hr.shape[:2] != (lr.shape[0] * SCALE, lr.shape[1] * SCALE):
            sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (lr, hr)]
            raise UserError(f"{file}: LR is {sizes[0]} and HR {sizes[1]}; HR must be {SCALE} times as large")
        yield name, photos.hr.get(name, file), hr, lr


def _described(name: str, file: Path, hr_shape: tuple[int, ...]) -> dict[str, Any]:
    height, width = hr_shape[:2]
    return {"name": name, "source": file.name, "source_sha256": sha256(file), "height": height, "width": width}


def _write_pngs(folder: Path, photos: Photos, dataset: DatasetSpec) -> list[dict[str, Any]]:
    images = []
    for name, file, hr, lr in _given_pairs(photos) if photos.lr else _made_pairs(photos, dataset):
        written = {"lr": lr} if hr is None else {"hr": hr, "lr": lr}
        image = _described(name, file, (lr.shape[0] * SCALE, lr.shape[1] * SCALE))
        for kind, pixels in written.items():
            path = folder / kind.upper() / f"{name}.png"
            write_png(path, pixels)
            image[f"{kind}_sha256"] = sha256(path)
        images.append(image)
    return images


def _write_store(folder: Path, pairs: Iterator[tuple[str, Path, Pixels, Pixels]]) -> list[dict[str, Any]]:
    images = []
    with (
        written_beside(folder / "hr.u8") as hr_path,
        written_beside(folder / "lr.u8") as lr_path,
        hr_path.open("wb") as hr_file,
        lr_path.open("wb") as lr_file,
    ):
        for name, file, hr, lr in pairs:
            hr_file.write(hr.tobytes())
            lr_file.write(lr.tobytes())
            pixels = hashlib.sha256(hr.tobytes() + lr.tobytes()).hexdigest()
            images.append(_described(name, file, hr.shape) | {"pixels_sha256": pixels})
    return images


def _list_files(photos: Photos, report: Callable[[str], None]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Photos to be decoded in training; what is no plain 8-bit RGB or grey image is left out and said so.

    Only headers are read: hashing a set of this size would take as long as a day of training.
    """
    images, left_out = [], []
    for name, file in photos.hr.items():
        try:
            width, height = listed(file)
        except UserError as error:
            left_out.append({"name": name, "why": str(error)})
            continue
        images.append({"name": name, "path": str(file.resolve()), "height": height, "width": width})
    if left_out:
        report(f"{len(left_out)} photos left out, the first: {left_out[0]['why']}")
    if not images:
        raise UserError(f"{photos.title}: none of its {len(left_out)} photos can be used; {left_out[0]['why']}")
    return images, left_out
