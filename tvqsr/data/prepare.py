"""Make a dataset ready: PNG pairs for a test set; a memory-mapped pixel store or a list of files for a training set.

A manifest is written last.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tvqsr.data import parquet
from tvqsr.data.images import listed, write_png
from tvqsr.data.manifest import SCALE
from tvqsr.data.pairs import PixelPair, each_pair
from tvqsr.data.sources import Photos, obtain
from tvqsr.data.store import HR_FILE, LR_FILE, check_disk, write_store
from tvqsr.errors import UserError
from tvqsr.files import remove_leftovers, sha256, write_json
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec

Report = Callable[[str], None]
Described = list[dict[str, Any]]
MANIFEST = "manifest.json"


def prepare(
    dataset: DatasetSpec,
    folder: Path,
    for_training: bool,
    report: Report,
    places: Places | None = None,
    threads: int = 1,
) -> None:
    """Prepare a dataset in `folder`; `places` is where sets and archives lie.

    HR of which LR is made is first cut right and bottom to multiples of `multiple`. LR is the set's own, or made as
    `degradation` says, and rounded to 8 bits. Testing: `HR/*.png` and `LR/*.png`. Training: `hr.u8` and `lr.u8`, all
    photos' samples one after another, or with `store: files` the photos where they are. `photos.parquet` shows them,
    `manifest.json` lists them; while it is missing, nothing else counts. What is written does not depend on `threads`.
    """
    photos = obtain(dataset, places or Places(), report)
    if for_training and not photos.hr:
        raise UserError(f"{photos.title}: has no HR and cannot be trained on")
    _clear(folder)
    left_out: list[dict[str, str]] = []
    files: Mapping[str, Mapping[str, Path]] = {"hr": photos.hr, "lr": photos.lr}
    if not for_training:
        images = list(each_pair(photos, dataset, partial(_write_pngs, folder), threads))
        files = _written(folder, images)
    elif dataset.store == "files":
        images, left_out = _list_files(photos, report)
    else:
        images = _fill_store(folder, photos, dataset, threads)
    hashed = parquet.write_parquet(folder, images, files, embedded=not for_training)
    write_json(
        folder / MANIFEST,
        {
            "title": photos.title,
            "licence": photos.licence,
            "origin": photos.origin,
            "declared": dataset.model_dump(mode="json"),
            "role": "training" if for_training else "testing",
            "degradation": "as given" if photos.lr else dataset.degradation,
            "scale": SCALE,
            "parquet_sha256": hashed,
            "images": images,
            "left_out": left_out,
        },
    )
    _tell(images, f"{SCALE} x LR" if photos.lr else f"multiples of {dataset.multiple}", report)


def _clear(folder: Path) -> None:
    """Remove what an earlier preparation left, the manifest first: no half is ever taken for whole."""
    for name in (MANIFEST, HR_FILE, LR_FILE, parquet.FILE):
        (folder / name).unlink(missing_ok=True)
    for name in ("HR", "LR"):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    remove_leftovers(folder)


def _write_pngs(folder: Path, pair: PixelPair) -> dict[str, Any]:
    image = pair.described()
    for kind, pixels in (("hr", pair.hr), ("lr", pair.lr)):
        if pixels is not None:
            path = folder / kind.upper() / f"{pair.name}.png"
            write_png(path, pixels)
            image[f"{kind}_sha256"] = sha256(path)
    return image


def _written(folder: Path, images: Described) -> dict[str, dict[str, Path]]:
    """PNGs of a test set, by kind and name."""
    names = {kind: [image["name"] for image in images if f"{kind}_sha256" in image] for kind in ("hr", "lr")}
    return {kind: {name: folder / kind.upper() / f"{name}.png" for name in names[kind]} for kind in names}


def _fill_store(folder: Path, photos: Photos, dataset: DatasetSpec, threads: int) -> Described:
    check_disk(folder, photos.hr.values(), dataset.multiple, SCALE)
    pairs = each_pair(photos, dataset, lambda pair: (pair, pair.described()), threads)
    return write_store(folder, ((image, pair.hr, pair.lr) for pair, image in pairs if pair.hr is not None))


def _list_files(photos: Photos, report: Report) -> tuple[Described, list[dict[str, str]]]:
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
        size = {"height": height, "width": width, "bytes": file.stat().st_size}
        images.append({"name": name, "path": str(file.resolve()), **size})
    if left_out:
        report(f"{len(left_out)} photos left out, the first: {left_out[0]['why']}")
    if not images:
        raise UserError(f"{photos.title}: none of its {len(left_out)} photos can be used; {left_out[0]['why']}")
    return images, left_out


def _tell(images: Described, cut_to: str, report: Report) -> None:
    if cut := sum(any(image.get("cut", {}).values()) for image in images):
        report(f"{cut} of {len(images)} HR cut to {cut_to}")
    megapixels = sum(image["height"] * image["width"] for image in images) / 1e6
    report(f"{len(images)} photos, {megapixels:.1f} megapixels")
