"""Photos and images: whether each is there, is what its record says, and has its size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tvqsr.data.images import stored_size
from tvqsr.data.store import open_store
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, compared, failed, ok, told_of, unchecked
from tvqsr.verify.records import made_images

NOT_HERE = "missing"


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
    if manifest["role"] == "training":
        yield from _pixels(bundle, name, manifest)
        return
    for image in manifest["images"]:
        for kind in ("hr", "lr"):
            if f"{kind}_sha256" in image:
                path = photo_file(bundle, name, kind, image["name"])
                yield _file(bundle, path, image[f"{kind}_sha256"], holds=bundle.holds["photos"])


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


def photo_file(bundle: Bundle, dataset: str, kind: str, name: str) -> Path:
    """PNG of a test photo. Raises UserError for a name that is no plain one."""
    return bundle.plan.paths.dataset(dataset) / kind.upper() / f"{_plain(name)}.png"


def image_file(bundle: Bundle, entry: str, seed: int, testset: str, name: str) -> Path:
    """PNG of an image that is scored. Raises UserError for a name that is no plain one."""
    return bundle.plan.paths.images(entry, seed, testset) / f"{_plain(name)}.png"


def _plain(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith(".") or {"/", "\\", "\0"} & set(name):
        raise UserError(f"`{name}` is no plain name of an image")
    return name


def test_names(bundle: Bundle, testset: str) -> dict[str, dict[str, Any]] | None:
    """Photos of a test set by name, as its manifest describes them; None without one."""
    path = bundle.plan.paths.manifest(testset)
    return {_plain(image["name"]): image for image in read_json(path)["images"]} if path.is_file() else None


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
        found = _file(bundle, path, about["sha256"], holds=bundle.holds["images"])
        if found.status == "ok" and stored_size(path) != (about["width"], about["height"]):
            found = failed(found.subject, "is not of the size recorded")
        yield found
    folder = bundle.plan.paths.images(entry, seed, testset)
    if over := sorted({path.stem for path in folder.glob("*.png")} - recorded.keys()):
        yield failed(subject, f"holds images that no record lists: {', '.join(over)}")


def _file(bundle: Bundle, path: Path, expected: str, holds: bool) -> Finding:
    subject = bundle.place(path)
    if not holds:
        return unchecked(subject, f"no {path.suffix[1:].upper()} of this kind in the bundle")
    if not path.is_file():
        return failed(subject, NOT_HERE)
    return ok(subject) if sha256(path) == expected else failed(subject, "SHA-256 is not the recorded one")
