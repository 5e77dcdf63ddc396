"""Verdicts on published numbers, each of one entry."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tvqsr.plan import Plan
from tvqsr.report.claim import Claim
from tvqsr.report.departures import departures, kin
from tvqsr.report.efficiency import COST_SET
from tvqsr.report.not_run import not_made, not_run, why_absent
from tvqsr.report.scores import summarise


def value_verdict(plan: Plan, claim: Claim, entry: str, scores: pd.DataFrame, outside: bool) -> dict[str, Any]:
    """What was measured of an entry, whose scores are given, against what a claim reports of it.

    `reproduced` inside the claim's tolerance or where the 95% interval over images holds the published number, else
    `differs`; `protocol differs` where the two cannot be compared. `outside` as in `ClaimFile`.
    """
    reported = claim.reported[entry]
    published = "unknown" if reported is None else f"{reported:g}"
    if why := _why_open(plan, claim, entry, outside):
        return not_run(why, published)
    here = scores[scores.testset == claim.dataset]
    rows = _measured(here, claim.protocol)
    if rows is None:
        return not_run(why_absent(here, entry, claim.protocol), published)
    row = summarise(rows).iloc[0]
    told = {"tested_on": claim.dataset, "measured": f"{row['mean']:.{int(row.decimals)}f}", "reported": published}
    if reported is None:
        return told | {"verdict": "published value unknown", "why": "no source at hand gives the paper's number"}
    return told | _against(row, reported, claim, departures(plan, claim, entry, rows))


def _why_open(plan: Plan, claim: Claim, entry: str, outside: bool) -> str | None:
    """Why nothing that was measured here can speak about a value."""
    run = plan.entries[entry].run if entry in plan.entries else None
    trained_here = not run.released if run else entry not in plan.entries and not outside
    if plan.preset.claims == "orderings" and trained_here:
        return f"values are judged at the paper's scale only; preset {plan.name} speaks about orderings"
    if entry not in plan.entries:
        return not_made(plan, entry, outside)
    if claim.dataset == COST_SET:
        return None if plan.preset.efficiency else f"preset {plan.name} does not measure costs (`efficiency`)"
    if claim.dataset not in plan.preset.test_on:
        return f"{claim.dataset} is not a test set of preset {plan.name}"
    return None if claim.dataset in plan.test_sets(entry) else f"{entry} is not tested on {claim.dataset}"


def _measured(scores: pd.DataFrame, protocol: str) -> pd.DataFrame | None:
    """Scores under a protocol, or under the nearest of its kin that has any; None if none has."""
    for name in (protocol, *kin(protocol)):
        rows = scores[scores.protocol == name]
        if rows.value.notna().any():
            return rows
    return None


def _against(row: pd.Series, reported: float, claim: Claim, departed: list[str]) -> dict[str, Any]:
    difference = f"measured minus published {row['mean'] - reported:+.{int(row.decimals)}f}"
    if departed:
        return {"verdict": "protocol differs", "why": f"{'; '.join(departed)}; {difference}"}
    tolerance = claim.tolerance or 0.0
    inside = abs(row["mean"] - reported) <= tolerance or (pd.notna(row.low) and row.low <= reported <= row.high)
    why = f"{difference}; tolerance {tolerance:g} or the 95% interval over images"
    return {"verdict": "reproduced" if inside else "differs", "why": why}
