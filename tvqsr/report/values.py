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
from tvqsr.report.tolerance import tolerance_of
from tvqsr.report.trainings import trained_here


def value_verdict(plan: Plan, claim: Claim, entry: str, scores: pd.DataFrame, outside: bool) -> dict[str, Any]:
    """What was measured of an entry, whose scores are given, against what a claim reports of it.

    `reproduced` inside the tolerance or, of what was trained here with several seeds, within twice their standard
    deviation, else `differs`; `protocol differs` where the two cannot be compared. `outside` as in
    `ClaimFile`.
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
    if departed := departures(plan, claim, entry, rows):
        return told | {"verdict": "protocol differs", "why": f"{'; '.join(departed)}; {_difference(row, reported)}"}
    return told | _against(row, reported, claim, trained_here(plan, entry))


def _why_open(plan: Plan, claim: Claim, entry: str, outside: bool) -> str | None:
    """Why nothing that was measured here can speak about a value."""
    trained = trained_here(plan, entry) if entry in plan.entries else not outside
    if plan.preset.claims == "orderings" and trained:
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


def _against(row: pd.Series, reported: float, claim: Claim, trained: bool) -> dict[str, Any]:
    """Whether a number that can be compared is the published one.

    The photos are the published ones, so that the spread over them excuses nothing: what differs by chance is what was
    `trained` here, by its seed. Images and weights that were given are what they are. The difference is taken as it
    is printed: what is published is rounded, too.
    """
    tolerance, digits = tolerance_of(claim, trained), int(row.decimals)
    off = round(abs(row["mean"] - reported), digits)
    of = "" if trained else " for a re-computation"
    if tolerance is None and not (trained and pd.notna(row.seed_sd)):
        return {
            "verdict": "no tolerance stated",
            "why": f"{_difference(row, reported)}, and no tolerance is stated{of}",
        }
    tolerance = tolerance or 0.0
    told = f"{_difference(row, reported)}, %s the tolerance of {tolerance:g}{of}"
    if off <= tolerance:
        return {"verdict": "reproduced", "why": told % "inside"}
    if not trained or pd.isna(row.seed_sd):
        return {"verdict": "differs", "why": told % "outside"}
    inside = off <= 2 * row.seed_sd
    spread = f"twice the standard deviation of {int(row.seeds)} seeds, {row.seed_sd:.{digits}f}"
    why = f"{told % 'outside'}, {'but inside' if inside else 'and outside'} {spread}"
    return {"verdict": "reproduced" if inside else "differs", "why": why}


def _difference(row: pd.Series, reported: float) -> str:
    return f"measured minus published {row['mean'] - reported:+.{int(row.decimals)}f}"
