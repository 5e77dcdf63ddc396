"""Photos and images: whether each is there, is what its record says, and has its size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tvqsr.data.parquet import FILE
from tvqsr.data.store import open_store
from tvqsr.files import read_json, sha256
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import image_file, photo_file, test_names
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked
from tvqsr.verify.pixels import NOT_RECORDED, Size, size_of, wrong_with
from tvqsr.verify.records import made_images


def photos(bundle: Bundle) -> Iterator[Finding]:
    """Whether the photos of each set are those of its manifest."""
    for name in bundle.plan.used_datasets:
        manifest = bundle.plan.paths.manifest(name)
        if not manifest.is_file():
            yield unchecked(name, "no photos in the bundle")
        else:
            yield from told_of(name, _photos, bundle, name)


def _photos(bundle: Bundle, name: str) -> Iterator[Finding]:
    manifest = read_json(bundle.plan.paths.manifest(name))
    shown = bundle.plan.paths.dataset(name) / FILE
    if shown.is_file():
        yield compared(bundle.place(shown), sha256(shown) == manifest["parquet_sha256"], NOT_RECORDED)
    if manifest["role"] == "training":
        yield from _pixels(bundle, name, manifest)
        return
    for image in manifest["images"]:
        for kind in ("hr", "lr"):
            if f"{kind}_sha256" in image:
                path = photo_file(bundle, name, kind, image["name"])
                yield _file(bundle, "photos", path, image[f"{kind}_sha256"], size_of(image, kind))


def _pixels(bundle: Bundle, name: str, manifest: dict[str, Any]) -> Iterator[Finding]:
    """The pixel store of a training set, photo by photo."""
    folder = bundle.plan.paths.dataset(name)
    if manifest["declared"]["store"] == "files" or not (folder / "hr.u8").is_file():
        yield unchecked(name, "no pixels of this training set in the bundle")
        return
    wrong = []
    for photo, image in zip(open_store(folder)[0], manifest["images"], strict=True):
        hashed = hashlib.sha256()
        for samples in photo.pixels or ():
            hashed.update(np.ascontiguousarray(samples).data)
        wrong += [photo.name] if hashed.hexdigest() != image["pixels_sha256"] else []
    yield compared(name, not wrong, f"pixels of {', '.join(wrong)} are not those of the manifest")


def images(bundle: Bundle) -> Iterator[Finding]:
    """Whether every test photo has an image of every entry and seed, as recorded, and no image is left over."""
    for entry, seed, testset in made_images(bundle):
        subject = bundle.place(bundle.plan.paths.images(entry.name, seed, testset))
        yield from told_of(
            subject,
            _images,
            bundle,
            entry.name,
            seed,
            testset,
            subject,
        )


def _images(bundle: Bundle, entry: str, seed: int, testset: str, subject: str) -> Iterator[Finding]:
    recorded = read_json(bundle.plan.paths.images_record(entry, seed, testset))["images"]
    expected = test_names(bundle, testset)
    if expected is None:
        yield unchecked(f"{subject} is complete", "no manifest of its test set in the bundle")
    else:
        odd = sorted(recorded.keys() ^ expected.keys())
        yield compared(f"{subject} is complete", not odd, f"record and test set differ in {', '.join(odd)}")
    for name, about in recorded.items():
        path = image_file(bundle, entry, seed, testset, name)
        size = size_of((expected or {}).get(name, about))
        found = _file(bundle, "images", path, about["sha256"], size)
        if found.status == "ok" and size_of(about) != size:
            found = failed(found.subject, "its record tells another size than the manifest of its test set")
        yield found
    folder = bundle.plan.paths.images(entry, seed, testset)
    if over := sorted({path.stem for path in folder.glob("*.png")} - recorded.keys()):
        yield failed(subject, f"holds images that no record lists: {', '.join(over)}")


def _file(bundle: Bundle, kind: str, path: Path, digest: str, size: Size) -> Finding:
    subject = bundle.place(path)
    return absent(bundle, kind, path) or compared(subject, not (why := wrong_with(path, digest, size)), why)


def absent(bundle: Bundle, kind: str, path: Path) -> Finding | None:
    """What is to be told of a file that is not there: there is none of its kind in the bundle, or it alone is missing.

    `kind` is one of `Bundle.holds`. None if the file is there.
    """
    if path.is_file():
        return None
    if not bundle.holds[kind]:
        return unchecked(bundle.place(path), f"no {kind} in the bundle")
    return failed(bundle.place(path), f"missing, though other {kind} are there")
