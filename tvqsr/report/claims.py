"""Verdicts: what was published, what was measured, and whether it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import pandas as pd

from tvqsr.csv_files import write_csv
from tvqsr.plan import Plan
from tvqsr.plan.claim_files import ClaimFile
from tvqsr.report.claim import Claim
from tvqsr.report.claim_files import all_claims
from tvqsr.report.counted import ORDERING, full_name, kind_of, standings
from tvqsr.report.efficiency import COST_SET, cost_scores
from tvqsr.report.not_run import not_made, not_run, why_absent
from tvqsr.report.paired import leads
from tvqsr.report.scores import load_scores, per_image
from tvqsr.report.trainings import once_told
from tvqsr.report.values import value_verdict
from tvqsr.statistics import LEVEL

FEW_IMAGES = 10
"""Below this many, a percentile bootstrap covers clearly less than its 95% (87% for five)."""

Verdict = Literal[
    "ordering holds",
    "ordering reversed",
    "undecided",
    "holds without interval",
    "reversed without interval",
    "reproduced",
    "differs",
    "protocol differs",
    "no tolerance stated",
    "published value unknown",
    "not run",
]
DECIDED: dict[int, Verdict] = {1: "ordering holds", 0: "undecided", -1: "ordering reversed"}
"""By `Lead.decided`: of the interval over images, every seed alone and the sign-flip test, one-sided each way."""

COLUMNS = [
    *("claim", "kind", "statement", "verdict", "measured", "reported", "why", "published_on", "tested_on", "protocol"),
    *("source", "place", "trust", "method", "entry", "scale", "crop", "also", "instead"),
]
"""Of `claims.csv`. `method`: whose claim it is; `entry`: of a value, whose number; `scale`: what runs it speaks about
(`paper`: those of presets with `claims: values`); `crop`: the border that the published number leaves out, if told;
`also`, `instead`: as in `Standing`."""


def judge(plan: Plan, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and test set (orderings) or per entry and published number, whether measured or not."""
    rows: list[dict[str, Any]] = []
    # Of a full run there are millions of scores, and a thousand claims: each looks at its entries' alone.
    none = scores.iloc[:0]
    by_entry = defaultdict(lambda: none, {str(name): mine for name, mine in scores.groupby("entry", sort=False)})
    stated = list(all_claims(plan))
    standing = standings(stated)
    for file, claim in stated:
        about, name = _about(claim, file), full_name(file, claim)
        if claim.better and claim.worse:
            mine = about | {"kind": ORDERING, "scale": claim.scale} | asdict(standing[name, ORDERING])
            rows += [mine | found for found in _orderings(plan, claim, by_entry, file.outside)]
        for entry in claim.reported:
            if (name, kind_of(entry)) not in standing:
                continue
            mine = about | {"kind": kind_of(entry), "entry": entry, "scale": "paper"}
            mine |= asdict(standing[name, kind_of(entry)]) | ({"method": entry} if file.outside else {})
            rows.append(mine | value_verdict(plan, claim, entry, by_entry[entry], file.outside))
    return pd.DataFrame(rows, columns=COLUMNS)


def write_claims(plan: Plan) -> None:
    """Write `claims.csv`."""
    scores = load_scores(plan)
    if plan.preset.efficiency:
        scores = pd.concat([scores, cost_scores(plan)], ignore_index=True)
    write_csv(plan.paths.claims, judge(plan, scores).to_csv(index=False))


def _about(claim: Claim, file: ClaimFile) -> dict[str, Any]:
    published = {
        "claim": full_name(file, claim),
        "method": file.name,
        "statement": claim.statement,
        "published_on": claim.dataset,
        "protocol": claim.protocol,
        "crop": "" if claim.crop is None else claim.crop,
    }
    return published | {"source": claim.source.url, "place": claim.source.place, "trust": claim.source.trust}


def _orderings(plan: Plan, claim: Claim, by_entry: Mapping[str, pd.DataFrame], outside: bool) -> list[dict[str, Any]]:
    """A verdict for each test set on which both entries have the protocol; one that says why if there is none."""
    sides = [name for name in (claim.better, claim.worse) if name]
    published = {entry: claim.reported[entry] for entry in claim.reported if entry in sides}
    known = [f"{entry} {value:g}" for entry, value in published.items() if value is not None]
    reported = ", ".join(known) or ("unknown" if published else "no number published")
    if claim.scale == "paper" and plan.preset.claims == "orderings":
        return [not_run(f"is asked at the paper's scale only, which preset {plan.name} does not have", reported)]
    if missing := [name for name in sides if name not in plan.entries]:
        return [not_run(not_made(plan, missing[0], outside), reported)]
    if claim.dataset != COST_SET and not set(plan.test_sets(sides[0])) & set(plan.test_sets(sides[1])):
        return [not_run(f"{sides[0]} and {sides[1]} have no test set in common", reported)]
    scores = pd.concat([by_entry[name] for name in sides])
    mine = scores[scores.protocol == claim.protocol]
    sets = [name for name, rows in mine.groupby("testset", sort=False) if rows.entry.nunique() == len(sides)]
    if not sets:
        return [not_run(f"protocol {claim.protocol} is not in the preset", reported)]
    return [{"tested_on": testset} | _ordering(plan, claim, scores, str(testset), reported) for testset in sets]


def _ordering(plan: Plan, claim: Claim, scores: pd.DataFrame, testset: str, reported: str) -> dict[str, Any]:
    assert claim.better and claim.worse
    here = scores[scores.testset == testset]
    difference = _advantage(here, claim)
    if difference.empty:
        return not_run(why_absent(here, claim.better, claim.protocol), reported)
    digits = int(here[here.protocol == claim.protocol].iloc[0].decimals)
    means = [per_image(here, name, claim.protocol)[difference.index].mean() for name in (claim.better, claim.worse)]
    measured = f"{claim.better} {means[0]:.{digits}f}, {claim.worse} {means[1]:.{digits}f}"
    told = {"measured": measured, "reported": reported}
    # A network's size and time hang on no seed.
    once = once_told(plan, (claim.better, claim.worse)) if claim.dataset != COST_SET else ""
    beside = f"; {once}" if once else ""
    lead = next(iter(leads(here[here.protocol == claim.protocol], [(claim.better, claim.worse)])), None)
    if lead is None:
        seeds = set(plan.entries[claim.better].seeds) & set(plan.entries[claim.worse].seeds)
        of_seeds = [float(_advantage(here[here.seed == seed], claim).mean()) for seed in sorted(seeds)]
        told_of = ", ".join(f"{value:+.{digits}f}" for value in of_seeds)
        why = f"advantage of {claim.better} by seed {told_of}; one number for the whole set, so no interval over images"
        return told | {"verdict": _pointed(of_seeds), "why": f"{why}{beside}"}
    low, high = lead.interval
    why = (
        f"advantage of {claim.better} {lead.mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}], paired: "
        f"{(difference > 0).sum()} of {len(difference)} images in favour; "
        f"by seed {', '.join(f'{value:+.{digits}f}' for value in lead.by_seed)}"
    )
    if len(difference) < FEW_IMAGES:
        why += f"; with fewer than {FEW_IMAGES} images a bootstrap interval is too narrow"
    if 2.0 ** -len(difference) > LEVEL:
        why += f", and of {len(difference)} no test can decide"
    return told | {"verdict": DECIDED[lead.decided], "why": f"{why}{beside}"}


def _advantage(scores: pd.DataFrame, claim: Claim) -> pd.Series:
    """By image, how far `better` is ahead of `worse` (positive is ahead, whichever way the protocol points)."""
    better, worse = (per_image(scores, name, claim.protocol) for name in (claim.better or "", claim.worse or ""))
    paired = better.index.intersection(worse.index)
    higher = bool(scores[scores.protocol == claim.protocol].higher_is_better.all())
    return (better - worse)[paired] * (1 if higher else -1)


def _pointed(of_seeds: list[float]) -> Verdict:
    """Which way numbers without an interval point, if all seeds agree."""
    if of_seeds and min(of_seeds) > 0:
        return "holds without interval"
    return "reversed without interval" if of_seeds and max(of_seeds) < 0 else "undecided"
