"""Seeds: whether two seeds of an entry are two runs, by their weights, losses and decoded images."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import numpy as np

from tvqsr.plan import Run
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked
from tvqsr.verify.pixels import pixels_of, sound_image
from tvqsr.verify.records import part

SAME = 0.99
"""Share of equal samples, losses or weights from which two seeds are taken for one; those of `mini` share 0.05."""
WEIGHTS_APART, FINE_TUNED_APART = 1e-3, 1e-6
"""How far two weights are apart to be two, in parts of the largest of their tensor; less where both seeds start from
the same released weights."""
LOSSES_APART = 1e-4
"""Relative."""


def seeds(bundle: Bundle) -> Iterator[Finding]:
    """Whether the seeds of a run are different runs: other weights, other losses, other images."""
    plan, paths = bundle.plan, bundle.plan.paths
    for name, run in plan.runs.items():
        for one, other in combinations(plan.seeds_of(name), 2):
            subject = f"{name} seeds {one} and {other}"
            weights = [path for seed in (one, other) if (path := paths.weights(name, seed)).is_file()]
            curves = [path for seed in (one, other) if (path := paths.curve(name, seed)).is_file()]
            if max(len(weights), len(curves)) < 2:
                yield unchecked(subject, "neither weights nor losses in the bundle")
            if len(weights) == 2:
                yield from told_of(subject, _weights, subject, run, weights)
            if len(curves) == 2:
                yield from told_of(subject, _losses, subject, curves)
    for entry in plan.entries.values():
        for testset, pair in product(plan.test_sets(entry.name), combinations(entry.seeds, 2)):
            subject = f"{entry.name} on {testset} seeds {pair[0]} and {pair[1]}"
            yield from told_of(subject, _images, bundle, entry.name, pair, testset, subject)


def _apart(subject: str, kind: str, share: float) -> Finding:
    how = "are one and the same" if share == 1 else f"are equal in {share:.2%}"
    return compared(f"{subject} ({kind})", share < SAME, f"the {kind} of both {how}: these are not two seeds")


def _weights(subject: str, run: Run, paths: list[Path]) -> Iterator[Finding]:
    from safetensors import SafetensorError, safe_open

    fine_tuned = any(needed.released for needed in run.lineage())
    apart = FINE_TUNED_APART if fine_tuned else WEIGHTS_APART
    same = total = 0
    try:
        with safe_open(paths[0], framework="pt") as one, safe_open(paths[1], framework="pt") as other:
            if set(one.keys()) != set(other.keys()):
                yield failed(f"{subject} (weights)", "the weights of both have other names: they are not of one run")
                return
            for name in one.keys():  # noqa: SIM118 (no mapping)
                ours, theirs = one.get_tensor(name).float(), other.get_tensor(name).float()
                same += int(((ours - theirs).abs() <= apart * ours.abs().max()).sum()) if ours.numel() else 0
                total += ours.numel()
    except SafetensorError as error:
        yield unchecked(f"{subject} (weights)", f"weights are damaged ({error})")
        return
    yield _apart(subject, "weights", same / max(total, 1))


def _losses(subject: str, paths: list[Path]) -> Iterator[Finding]:
    one, other = ([_numbers(row) for row in csv.DictReader(path.open(encoding="utf-8"))] for path in paths)
    pairs = [
        (value, theirs[name])
        for ours, theirs in zip(one, other, strict=False)
        for name, value in ours.items()
        if name in theirs and value and theirs[name]
    ]
    close = [bool(np.isclose(*pair, rtol=LOSSES_APART, atol=0)) for pair in pairs]
    if close:
        yield _apart(subject, "losses", sum(close) / len(close))
    else:
        yield unchecked(f"{subject} (losses)", "no losses of the same name in both")


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if value and name != "step"}


def _images(bundle: Bundle, entry: str, pair: tuple[int, ...], testset: str, subject: str) -> Iterator[Finding]:
    recorded = [part(bundle.plan.paths.images_record(entry, seed, testset), "images") for seed in pair]
    compared_ones, same = 0, []
    for name in sorted(recorded[0].keys() & recorded[1].keys()):
        hashes = {record[name]["sha256"] for record in recorded}
        files = [
            sound_image(bundle, (entry, seed, testset), name, record)
            for seed, record in zip(pair, recorded, strict=True)
        ]
        compared_ones += all(files)
        same += [name] if len(hashes) == 1 or _same_pixels(*files) else []
    if compared_ones or same:
        why = f"{', '.join(same)} of both are one and the same image: these are not two seeds"
        yield compared(f"{subject} (images)", not same, why)
    else:
        yield unchecked(f"{subject} (images)", "no images in the bundle, and other hashes need not be other pixels")


def _same_pixels(one: Path | None, other: Path | None) -> bool:
    """Whether two images are the same, but for a few pixels. Clipped samples are left out: any seed may have those."""
    ours, theirs = pixels_of(one), pixels_of(other)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return False
    inner = (ours > 0) & (ours < 255)
    return bool(inner.any() and (ours == theirs)[inner].mean() >= SAME)
