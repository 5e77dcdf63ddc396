"""Why a claim was not judged, in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tvqsr.plan import Plan


def not_run(why: str, reported: str) -> dict[str, Any]:
    """The verdict on a claim that nothing was measured for."""
    return {"verdict": "not run", "measured": "n/a", "reported": reported, "why": why}


def not_made(plan: Plan, entry: str, outside: bool = False) -> str:
    """Why there is no such entry; of one that no method here makes (`outside`), how to have it judged."""
    if entry in plan.preset.more_entries:
        return f"entry {entry} was not asked for; `--config entries=all` makes it"
    if outside:
        return f"{NO_ENTRY}; give its outputs with the method `images` under the name `{entry}`"
    return f"entry {entry} is not in preset {plan.name}"


NO_ENTRY = "no entry"
"""How the reason begins where only a preset of the reader's own could have the entry."""


def why_absent(scores: pd.DataFrame, entry: str, protocol: str) -> str:
    """Why an entry has no score under a protocol."""
    reasons = scores[(scores.entry == entry) & (scores.protocol == protocol)].reason.dropna()
    if len(reasons):
        return f"{protocol} is n/a: {reasons.iloc[0]}"
    return f"{protocol} is not among the protocols that this set is scored with"
