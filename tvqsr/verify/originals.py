"""Whether photos are what they are said to be: LR made of its HR, HR that of its set, none to train on a test photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvqsr.data.images import Pixels, read_image
from tvqsr.data.lr import cut_hr, make_lr
from tvqsr.data.overlap import find_shared, prepared_photos, sign
from tvqsr.data.sources import obtain
from tvqsr.data.store import open_store
from tvqsr.files import read_json
from tvqsr.plan.catalogue import catalogue, sides_of
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import SkimageSource
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.near import FAR, distance, judged
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked
from tvqsr.verify.pixels import pixels_of, sound_pair
from tvqsr.verify.sample import Sample, drawn

DRAWN = 20
"""Most photos of a set to train on that are made again; of a test set, all are."""
BLIND = 2
"""Most photos that a blind degradation, which takes seconds, is made again of."""
COMPARED = 2000
"""Most photos to train on that are compared with the test photos again."""


@dataclass(frozen=True)
class Photo:
    """A photo of a bundle: HR and LR, as far as they are there."""

    name: str
    hr: Pixels | None
    lr: Pixels


def originals(bundle: Bundle, sample: Sample) -> Iterator[Finding]:
    """Whether each set's photos are declared, cut and shrunk as the plan says, from the photos that it names."""
    for name in bundle.plan.used_datasets:
        path = bundle.plan.paths.manifest(name)
        if path.is_file():
            yield from told_of(name, _declared, bundle, name)
            if bundle.holds["photos"] or read_json(path)["role"] == "training":
                yield from told_of(name, _photos, bundle, name, sample)
    for name in bundle.plan.trained_on:
        if bundle.plan.paths.manifest(name).is_file():
            yield from told_of(name, _apart, bundle, name)


def _declared(bundle: Bundle, name: str) -> Iterator[Finding]:
    manifest, training = read_json(bundle.plan.paths.manifest(name)), bundle.plan.is_training_set(name)
    told = manifest["declared"]
    planned = bundle.plan.preset.datasets[name].model_dump(mode="json")
    wrong = [key for key in ("source", "hub", "degradation", "multiple", "store") if told[key] != planned[key]]
    wrong += ["lr_folder"] if (told["lr_folder"] is None) != (planned["lr_folder"] is None) else []
    wrong += [] if manifest["role"] == ("training" if training else "testing") else ["role"]
    if training and name in bundle.plan.preset.test_on:
        yield failed(name, "is trained on and tested on")
    yield compared(
        f"{name} (declared)", not wrong, f"was not prepared as plan.json declares it: {', '.join(wrong)} differ"
    )


def _photos(bundle: Bundle, name: str, sample: Sample) -> Iterator[Finding]:
    spec, manifest = bundle.plan.preset.datasets[name], read_json(bundle.plan.paths.manifest(name))
    names = [image["name"] for image in manifest["images"]]
    if manifest["role"] == "training":
        names = drawn(names, name, sample.seed, DRAWN)
    photos = list(_there(bundle, name, manifest, names))
    if not photos:
        yield unchecked(name, "no photos of this set to compare with anything")
        return
    yield _of_set(name, spec, photos, manifest["images"])
    if "LR" in sides_of(spec):
        yield unchecked(f"{name} (LR)", "came with the set: how it was made, its owner knows")
    else:
        yield _lr(name, spec, photos, sample)


def _there(bundle: Bundle, name: str, manifest: Mapping[str, Any], names: Sequence[str]) -> Iterator[Photo]:
    """Photos of a set whose files are as recorded. Those that only paths name, outside the bundle, are none."""
    folder = bundle.plan.paths.dataset(name)
    if manifest["role"] != "training":
        for photo, about in (test_names(bundle, name) or {}).items():
            if photo in names and (pair := sound_pair(bundle, name, about)):
                yield Photo(photo, pixels_of(pair.hr_path), pair.lr())
    elif _has_pixels(bundle, name, manifest):
        for stored in open_store(folder)[0]:
            if stored.name in names and stored.pixels:
                yield Photo(stored.name, *stored.pixels)


def _has_pixels(bundle: Bundle, name: str, manifest: Mapping[str, Any]) -> bool:
    return manifest["declared"]["store"] != "files" and (bundle.plan.paths.dataset(name) / "hr.u8").is_file()


def _of_set(name: str, spec: DatasetSpec, photos: Sequence[Photo], listed: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether photos are those of their set, where this installation carries it."""
    subject = f"{name} ({len(photos)} of {len(listed)} photos)"
    if name in catalogue() and spec.source != name:
        whose = spec.source or "the maker's own"
        return unchecked(subject, f"are called {name}, and said to be {whose}: whether they are is not known here")
    if not spec.source or not isinstance(catalogue()[spec.source], SkimageSource):
        whose = f"those of {spec.source}" if spec.source else "what they are said to be"
        return unchecked(subject, f"whether they are {whose} is not known here: the set itself is not compared")
    files = obtain(spec, Places(), lambda _: None).hr
    odd = sorted({image["name"] for image in listed} ^ files.keys())
    wrong = odd + [photo.name for photo in photos if photo.name in files and not _is_cut_of(photo, files, spec)]
    return compared(subject, not wrong, f"{', '.join(wrong)}: not as {spec.source} has them")


def _is_cut_of(photo: Photo, files: Mapping[str, Path], spec: DatasetSpec) -> bool:
    file = files[photo.name]
    return photo.hr is not None and np.array_equal(photo.hr, cut_hr(read_image(file), spec.multiple, file))


def _lr(name: str, spec: DatasetSpec, photos: Sequence[Photo], sample: Sample) -> Finding:
    """Whether LR is what the degradation makes of HR: bicubic to the bit, a blind one but for rounding."""
    exact = spec.degradation == "bicubic"
    wanted = photos if exact else drawn(photos, name, sample.seed, BLIND)
    wrong = []
    for photo in wanted:
        if photo.hr is None:
            continue
        apart = distance(photo.lr, make_lr(photo.hr, spec.degradation, photo.name))
        wrong += [] if apart.equal or (not exact and judged(apart, on_cpu=True) == "ok") else [photo.name]
    how = f"{spec.degradation}{'' if exact else f', within 1/255 but for {FAR:.1%}'}"
    return compared(
        f"{name} (LR of {len(wanted)} photos, {how})", not wrong, f"LR of {', '.join(wrong)} is not made of its HR"
    )


def _apart(bundle: Bundle, name: str) -> Iterator[Finding]:
    """Whether photos to train on and test photos, compared again, share what the record says and no more."""
    manifest, path = read_json(bundle.plan.paths.manifest(name)), bundle.plan.paths.overlap(name)
    subject = f"{name} (photos that are test photos)"
    testsets = [testset for testset in bundle.plan.kept_apart(name) if _is_whole(bundle, testset)]
    if not path.is_file() or not _has_pixels(bundle, name, manifest) or not testsets:
        yield unchecked(subject, "its pixels, or those of the test sets, are not in the bundle: not compared again")
        return
    if len(manifest["images"]) > COMPARED:
        yield unchecked(subject, f"more than {COMPARED}, which are not compared again")
        return
    photos = prepared_photos(bundle.plan.paths.dataset(name))
    signatures, wrong = sign(photos, 1, lambda _: None), []
    recorded = read_json(path)["test_sets"]
    for testset in testsets:
        shared, _ = find_shared(photos, signatures, prepared_photos(bundle.plan.paths.dataset(testset)), 1)
        told = {(pair["training"], pair["test"]) for pair in recorded.get(testset, {"shared": ()})["shared"]}
        wrong += [f"{p.training} is {p.test} of {testset}" for p in shared if (p.training, p.test) not in told]
    yield compared(subject, not wrong, f"{', '.join(wrong)}, which {path.name} does not tell")


def _is_whole(bundle: Bundle, testset: str) -> bool:
    """Whether all photos of a test set are there and may be decoded."""
    found = test_names(bundle, testset) or {}
    return bool(found) and all(sound_pair(bundle, testset, about) for about in found.values())
