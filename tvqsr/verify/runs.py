"""Weights: whether they are those that records name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tvqsr.files import sha256
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.files import absent
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked
from tvqsr.verify.records import made_images, part


def weights(bundle: Bundle) -> Iterator[Finding]:
    """Whether weights are those of the run they lie in, and those that the records of what follows were made with."""
    recorded = _recorded(bundle)
    for name, seed in bundle.plan.made():
        path = bundle.plan.paths.weights(name, seed)
        subject = bundle.place(path)
        if missing := absent(bundle, "weights", path):
            yield missing
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
