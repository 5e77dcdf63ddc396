"""Whether the bundle's weights make the bundle's images: a sample of them is made again here, and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tvqsr.files import read_json, sha256
from tvqsr.plan import EntryPlan
from tvqsr.verify.alike import alike
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.outcome import Finding, failed, told_of, unchecked
from tvqsr.verify.pixels import size_of, sound_image, sound_pair
from tvqsr.verify.records import made_images
from tvqsr.verify.remake import Folder, make
from tvqsr.verify.sample import Sample, drawn


def remade(bundle: Bundle, sample: Sample) -> Iterator[Finding]:
    """Whether images of networks, made again with the bundle's weights, are those in it."""
    folders: list[Folder] = []
    left_out: dict[str, list[str]] = {}
    for entry, seed, testset in made_images(bundle):
        if entry.run is None and entry.given is None:
            continue
        subject = f"{entry.name} seed {seed} on {testset}"
        if why := _why_not(bundle, entry, seed, sample):
            left_out.setdefault(why, []).append(subject)
        else:
            yield from told_of(subject, _planned, bundle, entry, seed, testset, sample, folders)
    for why, subjects in left_out.items():
        yield unchecked(f"images and codes of {len(subjects)} entries and seeds ({subjects[0]}, ...)", why)
    if folders:
        with tempfile.TemporaryDirectory(prefix="tvqsr-verify-") as place:
            make(bundle, folders, Path(place), sample.seconds)
            for folder in folders:
                yield from told_of(str(folder), alike, bundle, folder)
        yield from _left(folders, sample)


def _left(folders: list[Folder], sample: Sample) -> Iterator[Finding]:
    """What could have been made again, and was not: other images, and all that is known of theirs."""
    drawn_only = f"{sample.remade} of each entry, seed and test set are made again (`--remake N`)"
    total, made = (sum(len(of) for of in kind) for kind in zip(*((f.images, f.made) for f in folders), strict=True))
    if made < total:
        yield unchecked(f"{total - made} of {total} images by networks", drawn_only)
    coded = [folder for folder in folders if folder.record["codes"] is not None]
    if open_ones := sum(len(folder.images) - len(folder.made) for folder in coded):
        yield unchecked(f"index accuracy of {open_ones} images", drawn_only)
    if uncounted := [folder for folder in coded if folder.about.get("codes") is None]:
        why = "counted again where all images of a test set are made again (`--remake N`)"
        yield unchecked(f"use of the codes in {len(uncounted)} records of images", why)


def _why_not(bundle: Bundle, entry: EntryPlan, seed: int, sample: Sample) -> str:
    """Why nothing of an entry can be made again; empty if it can."""
    if entry.has_outputs:
        return "finished outputs were given: by what they were made is not known"
    if entry.given is not None:
        return "made with a checkpoint that was given, which is no part of a bundle"
    if lacking := [kind for kind in ("weights", "photos", "images") if not bundle.holds[kind]]:
        return f"no {', '.join(lacking)} in the bundle: whether its weights made its images is not known"
    lineage = entry.run.lineage() if entry.run else []
    if any(not bundle.plan.paths.weights(run.name, seed).is_file() for run in lineage):
        return "some of its weights are missing"
    return "" if sample.remade else "not asked for (`--remake 0`): whether its weights made its images is not known"


def _planned(
    bundle: Bundle, entry: EntryPlan, seed: int, testset: str, sample: Sample, folders: list[Folder]
) -> Iterator[Finding]:
    record = read_json(bundle.plan.paths.images_record(entry.name, seed, testset))
    lineage = entry.run.lineage() if entry.run else []
    used = {run.name: sha256(bundle.plan.paths.weights(run.name, seed)) for run in lineage}
    if record.get("weights_sha256") is None:
        yield unchecked(f"{entry.name} seed {seed} on {testset}", "its record does not tell the hashes of its weights")
    elif record["weights_sha256"] != used:
        yield failed(f"{entry.name} seed {seed} on {testset}", "was made with other weights than the bundle's")
        return
    sound = [
        name
        for name, about in (test_names(bundle, testset) or {}).items()
        if name in record["images"] and size_of(about) == size_of(record["images"][name])
        if sound_pair(bundle, testset, about)
        and sound_image(bundle, (entry.name, seed, testset), name, record["images"])
    ]
    if sound:
        chosen = drawn(sound, f"{entry.name} {seed} {testset}", sample.seed, sample.remade)
        folders.append(Folder(entry, seed, testset, record, sound, chosen))
    else:
        yield unchecked(f"{entry.name} seed {seed} on {testset}", "its images or photos are missing or changed")
