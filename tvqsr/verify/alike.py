"""Whether what was made again is what the bundle holds: images, index accuracy, use of the codes, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tvqsr.data.images import read_image
from tvqsr.files import read_json
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import image_file, test_names
from tvqsr.verify.near import FAR, GPU_FAR, distance, judged
from tvqsr.verify.outcome import Finding, compared, failed, unchecked
from tvqsr.verify.pixels import sound_pair
from tvqsr.verify.remake import Folder

FLIPPED = 4
"""How many times as large a share of codes may be flipped as of samples that are off: flips may hardly be seen."""


def alike(bundle: Bundle, folder: Folder) -> Iterator[Finding]:
    """What came of the images that were wanted of an entry, seed and test set."""
    if folder.wrong:
        yield failed(str(folder), f"cannot be made of the bundle's weights: {folder.wrong}")
    elif folder.failure:
        yield unchecked(str(folder), f"could not be made again here ({folder.failure})")
    for name, answer in folder.made.items():
        yield _image(bundle, folder, name, answer)
    if folder.about:
        yield _parameters(folder)
        yield from _cost(bundle, folder)
        if folder.about["codes"] is not None:
            yield _codes(folder)


def _image(bundle: Bundle, folder: Folder, name: str, answer: Mapping[str, Any]) -> Finding:
    stored = read_image(image_file(bundle, folder.entry.name, folder.seed, folder.testset, name))
    photo = (test_names(bundle, folder.testset) or {})[name]
    pair = sound_pair(bundle, folder.testset, photo)
    apart = distance(stored, read_image(Path(answer["file"])), pair.hr() if pair else None)
    folder.equal &= apart.equal
    subject = f"{folder} ({name}{'' if apart.equal else ', nearly equal'})"
    status = judged(apart, folder.on_cpu)
    if status != "ok":
        doubt = ", which a GPU's rounding may have done, or somebody" if status == "not checked" else ""
        return Finding(status, f"{folder} ({name})", f"is not what the bundle's weights make here: {apart}{doubt}")
    told, found = folder.record["images"][name]["index_accuracy"], answer["index_accuracy"]
    why = f"its index accuracy is {found}, the record has {told}"
    return compared(subject, _close(told, found, 1e-9 if apart.equal else _slack(folder)), why)


def _slack(folder: Folder) -> float:
    """How much a share of codes may differ where they are not made on the same machine."""
    return FAR if folder.on_cpu else GPU_FAR


def _close(told: Any, found: Any, slack: float) -> bool:
    if told is None or found is None:
        return told is found
    return abs(float(told) - float(found)) <= slack


def _parameters(folder: Folder) -> Finding:
    told, found = folder.record["parameters"], folder.about["parameters"]
    return compared(f"{folder} (parameters)", told == found, f"has {found} parameters, its record {told}")


def _cost(bundle: Bundle, folder: Folder) -> Iterator[Finding]:
    """What does not depend on the machine in an entry's record of costs."""
    path = bundle.plan.paths.efficiency(folder.entry.name)
    if not bundle.plan.preset.efficiency or not path.is_file() or folder.seed != folder.entry.seeds[0]:
        return
    told, about = read_json(path), folder.about
    found = {
        "parameters": (told["parameters"]["inference"], about["parameters"]),
        "parameters counted": (told["parameters"]["counted"], about["counted"]),
    }
    if told["device"] == "cpu":  # On a GPU, attention may be another operation, which torch counts otherwise.
        found["MACs"] = (told["macs"], about["macs"])
    wrong = [f"{what} {there}, here {here}" for what, (there, here) in found.items() if there != here]
    yield compared(f"{bundle.place(path)} ({', '.join(found)})", not wrong, f"has {'; '.join(wrong)}")


def _codes(folder: Folder) -> Finding:
    """Whether the codes that all images of the set are decoded from are used as recorded."""
    told, found, subject = folder.record["codes"], folder.about["codes"], f"{folder} (codes)"
    slack = 1e-6 if folder.equal else FLIPPED * _slack(folder)
    for stored, made in zip(told["codebooks"], found["codebooks"], strict=True):
        pairs = zip(stored["counts"], made["counts"], strict=True)
        off = sum(abs(one - other) for one, other in pairs) / max(2 * sum(made["counts"]), 1)
        if off > slack:
            return failed(subject, f"{off:.2%} of its codes are others than recorded")
    keys = ("used", "perplexity", "bits_per_position", "stride", "accuracy", "redundancy")
    wrong = [key for key in keys if not _close(told[key], found[key], slack * max(1.0, abs(found[key] or 0)))]
    return compared(subject, not wrong, f"its record differs in {', '.join(wrong)} of its codes")
