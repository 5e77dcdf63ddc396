"""How many trainings stand behind an entry's numbers: of one alone, the noise between seeds is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tvqsr.plan import Plan

ONCE = "one training"
UNKNOWN = "how far another seed strays is not known"
REASON = re.compile(rf"; ({ONCE} (?:each|of [\w, ]+)): {UNKNOWN}$")
"""How the reason of a verdict ends that stands on one training of a side."""


def trained_here(plan: Plan, entry: str) -> bool:
    """Whether an entry's weights come of a training of this plan, not from elsewhere."""
    run = plan.entries[entry].run
    return run is not None and not run.released


def trainings(plan: Plan, entry: str) -> int:
    """Of how many seeds an entry was trained here; 0 for controls and weights that were given."""
    return len(plan.entries[entry].seeds) if trained_here(plan, entry) else 0


def once_told(plan: Plan, entries: Sequence[str]) -> str:
    """That of these, some were trained from one seed alone; empty if none was.

    Photos, seeds and their order being fixed, a test over images tells two trainings apart, not two methods.
    """
    counts = {entry: trainings(plan, entry) for entry in entries if trained_here(plan, entry)}
    once = [entry for entry, count in counts.items() if count == 1]
    if not once:
        return ""
    whose = "each" if len(once) == len(counts) else f"of {', '.join(once)}"
    return f"{ONCE} {whose}: {UNKNOWN}"


def of_one(why: str) -> str:
    """What follows a verdict with that reason where it is told: ` (one training each)`; mostly empty."""
    found = REASON.search(why)
    return f" ({found[1]})" if found else ""
