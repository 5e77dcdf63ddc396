"""Names of the entries for readers, no two alike."""

from __future__ import annotations

from collections import Counter

from tvqsr.plan import Plan


def titles_of(plan: Plan) -> dict[str, str]:
    """Title of each entry; where several share one, with the entry's name behind it."""
    shared = Counter(entry.title for entry in plan.entries.values())
    return {
        name: entry.title if shared[entry.title] == 1 else f"{entry.title} ({name})"
        for name, entry in plan.entries.items()
    }
