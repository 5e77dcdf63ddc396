"""What records tell and no bundle can prove: told once for each kind, so that it is not taken for checked."""

from __future__ import annotations

from collections.abc import Iterator

from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, unchecked
from tvqsr.verify.records import made_images

NOT_AGAIN = "a training is not run again"


def trust(bundle: Bundle) -> Iterator[Finding]:
    """All that is left to be believed, whatever the other checks find."""
    trained = sum(not bundle.plan.runs[name].released for name, _ in bundle.plan.made())
    released = len(bundle.plan.made()) - trained
    folders = len(made_images(bundle))
    if trained:
        yield unchecked(
            f"weights of {trained} trainings",
            f"whether they came of the settings, seed and photos in their records: {NOT_AGAIN}",
        )
        yield unchecked(f"losses of {trained} trainings", f"{NOT_AGAIN}: curves are as somebody wrote them")
        yield unchecked(f"seconds, speed and memory of {trained} trainings", f"{NOT_AGAIN}, nor on that machine")
    if released:
        yield unchecked(f"weights of {released} released checkpoints", "the authors' files are not fetched to compare")
    yield unchecked(f"seconds and memory in {folders} records of images", "were measured on that machine")
    if bundle.plan.preset.efficiency:
        yield unchecked("costs: milliseconds and memory", "were measured on that machine; the table repeats them")
        yield unchecked(
            "costs: parameters and MACs",
            "are counted again for entries that are made again, on a CPU; for others, the table repeats the records",
        )
    yield unchecked(
        f"time, command, commit, packages, machine in {len(bundle.plan.made()) + folders} records",
        "are the words of whoever made them",
    )
