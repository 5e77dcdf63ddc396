"""Weights and seeds: whether weights are those that records name, and whether two seeds are two runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

from tvqsr.files import read_json, sha256
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked
from tvqsr.verify.records import made_images, part


def weights(bundle: Bundle) -> Iterator[Finding]:
    """Whether weights are those of the run they lie in, and those that the records of what follows were made with."""
    recorded = _recorded(bundle)
    for name, seed in bundle.plan.made():
        path = bundle.plan.paths.weights(name, seed)
        subject = bundle.place(path)
        if not bundle.holds["weights"]:
            yield unchecked(subject, "no weights in the bundle")
        elif not path.is_file():
            yield failed(subject, "missing, though other weights are there")
        else:
            yield from told_of(subject, _weights, path, subject, name, recorded.get((name, seed), set()))


def _weights(path: Path, subject: str, run: str, recorded: set[str]) -> Iterator[Finding]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            made_for = (file.metadata() or {}).get("run")
    except SafetensorError as error:
        yield failed(subject, f"damaged ({error})")
        return
    if made_for != run:
        yield failed(subject, f"are weights of {made_for}")
    elif not recorded:
        yield unchecked(subject, "no record in the bundle has a hash of these weights")
    else:
        yield compared(subject, recorded == {sha256(path)}, "SHA-256 is not the one that records name")


def _recorded(bundle: Bundle) -> dict[tuple[str, int], set[str]]:
    """(run, seed) -> hashes of its weights in the records of what was made with them."""
    found: dict[tuple[str, int], set[str]] = {}
    paths = bundle.plan.paths
    for name, seed in bundle.plan.made():
        inputs = part(paths.run_record(name, seed), "inputs_sha256")
        for need, run in bundle.plan.runs[name].needs.items():
            if need in inputs:
                found.setdefault((run.name, seed), set()).add(str(inputs[need]))
    for entry, seed, testset in made_images(bundle):
        for name, value in part(paths.images_record(entry.name, seed, testset), "weights_sha256").items():
            found.setdefault((str(name), seed), set()).add(str(value))
    return found


def seeds(bundle: Bundle) -> Iterator[Finding]:
    """Whether the seeds of a run are different runs: other weights, other losses, other images."""
    plan, paths = bundle.plan, bundle.plan.paths
    for name in plan.runs:
        for one, other in combinations(plan.seeds_of(name), 2):
            subject = f"{name} seeds {one} and {other}"
            yield from _distinct(
                subject,
                {
                    "weights": (paths.weights(name, one), paths.weights(name, other)),
                    "losses": (paths.curve(name, one), paths.curve(name, other)),
                },
            )
    for entry in plan.entries.values():
        for testset, pair in product(plan.test_sets(entry.name), combinations(entry.seeds, 2)):
            subject = f"{entry.name} on {testset} seeds {pair[0]} and {pair[1]}"
            yield from told_of(
                subject, _distinct_images, [paths.images_record(entry.name, seed, testset) for seed in pair], subject
            )


def _distinct(subject: str, files: dict[str, tuple[Path, Path]]) -> Iterator[Finding]:
    there = {kind: pair for kind, pair in files.items() if all(path.is_file() for path in pair)}
    if not there:
        yield unchecked(subject, "neither weights nor losses in the bundle")
    for kind, (one, other) in there.items():
        why = f"the {kind} of both are one and the same: these are not two seeds"
        yield compared(f"{subject} ({kind})", sha256(one) != sha256(other), why)


def _distinct_images(records: list[Path], subject: str) -> Iterator[Finding]:
    one, other = ([image["sha256"] for image in read_json(path)["images"].values()] for path in records)
    yield compared(subject, one != other, "all images of both are one and the same: these are not two seeds")
