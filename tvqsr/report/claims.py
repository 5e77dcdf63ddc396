"""Verdicts: what was published, what was measured, and whether it holds."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from tvqsr.files import read_json, write_text
from tvqsr.plan import Plan
from tvqsr.plan.catalogue import source_of
from tvqsr.plan.method import Method
from tvqsr.report.claim import Claim, claims_of
from tvqsr.report.efficiency import COST_SET, cost_scores
from tvqsr.report.scores import load_scores, per_image, summarise
from tvqsr.statistics import mean_interval

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
    "published value unknown",
    "not run",
]


def judge(plan: Plan, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and test set (orderings) or per claim and entry (values)."""
    rows: list[dict[str, Any]] = []
    for method in plan.methods.values():
        for claim in claims_of(method):
            about = _about(claim, method)
            if claim.better and claim.worse:
                rows += [about | {"kind": "ordering"} | found for found in _orderings(plan, claim, scores)]
            rows += [
                about | {"kind": f"value of {entry}"} | _value(plan, claim, entry, reported, scores)
                for entry, reported in claim.reported.items()
            ]
    columns = [
        "claim",
        "kind",
        "statement",
        "verdict",
        "measured",
        "reported",
        "why",
        "published_on",
        "tested_on",
        "protocol",
        "source",
        "place",
        "trust",
    ]
    return pd.DataFrame(rows, columns=columns)


def write_claims(plan: Plan) -> None:
    """Write `claims.csv`."""
    scores = load_scores(plan)
    if plan.preset.efficiency:
        scores = pd.concat([scores, cost_scores(plan)], ignore_index=True)
    write_text(plan.paths.claims, judge(plan, scores).to_csv(index=False))


def _about(claim: Claim, method: Method) -> dict[str, Any]:
    published = {
        "claim": f"{method.name}.{claim.id}",
        "statement": claim.statement,
        "published_on": claim.dataset,
        "protocol": claim.protocol,
    }
    return published | {"source": claim.source.url, "place": claim.source.place, "trust": claim.source.trust}


def _orderings(plan: Plan, claim: Claim, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """A verdict for each test set on which both entries have the protocol; one that says why if there is none."""
    sides = [name for name in (claim.better, claim.worse) if name]
    published = {entry: claim.reported[entry] for entry in claim.reported if entry in sides}
    known = [f"{entry} {value:g}" for entry, value in published.items() if value is not None]
    reported = ", ".join(known) or ("unknown" if published else "no number published")
    if missing := [name for name in sides if name not in plan.entries]:
        return [_not_run(_not_made(plan, missing[0]), reported)]
    if claim.dataset != COST_SET and not set(plan.test_sets(sides[0])) & set(plan.test_sets(sides[1])):
        return [_not_run(f"{sides[0]} and {sides[1]} have no test set in common", reported)]
    mine = scores[(scores.protocol == claim.protocol) & scores.entry.isin(sides)]
    sets = [name for name, rows in mine.groupby("testset", sort=False) if rows.entry.nunique() == len(sides)]
    if not sets:
        return [_not_run(f"protocol {claim.protocol} is not in the preset", reported)]
    return [{"tested_on": testset} | _ordering(plan, claim, scores, str(testset), reported) for testset in sets]


def _ordering(plan: Plan, claim: Claim, scores: pd.DataFrame, testset: str, reported: str) -> dict[str, Any]:
    assert claim.better and claim.worse
    here = scores[scores.testset == testset]
    difference = _advantage(here, claim)
    if difference.empty:
        return _not_run(_why_absent(here, claim.better, claim.protocol), reported)
    digits = int(here[here.protocol == claim.protocol].iloc[0].decimals)
    means = [per_image(here, name, claim.protocol)[difference.index].mean() for name in (claim.better, claim.worse)]
    measured = f"{claim.better} {means[0]:.{digits}f}, {claim.worse} {means[1]:.{digits}f}"
    mean, interval = mean_interval(difference.tolist())
    told = {"measured": measured, "reported": reported}
    seeds = set(plan.entries[claim.better].seeds) & set(plan.entries[claim.worse].seeds)
    of_seeds = [float(_advantage(here[here.seed == seed], claim).mean()) for seed in sorted(seeds)]
    if interval is None:
        told_of = ", ".join(f"{value:+.{digits}f}" for value in of_seeds)
        why = f"advantage of {claim.better} by seed {told_of}; one number for the whole set, so no interval over images"
        return told | {"verdict": _pointed(of_seeds), "why": why}
    why = (
        f"advantage of {claim.better} {mean:.{digits}f} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}], paired: "
        f"{(difference > 0).sum()} of {len(difference)} images in favour; "
        f"by seed {', '.join(f'{value:+.{digits}f}' for value in of_seeds)}"
    )
    if len(difference) < FEW_IMAGES:
        why += f"; with fewer than {FEW_IMAGES} images a bootstrap interval is too narrow"
    return told | {"verdict": _decided(interval, of_seeds), "why": why}


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


def _decided(interval: tuple[float, float], of_seeds: list[float]) -> Verdict:
    """An ordering is decided if the interval excludes zero and every seed alone points the same way."""
    if interval[0] > 0 and min(of_seeds, default=1.0) > 0:
        return "ordering holds"
    return "ordering reversed" if interval[1] < 0 and max(of_seeds, default=-1.0) < 0 else "undecided"


def _value(plan: Plan, claim: Claim, entry: str, reported: float | None, scores: pd.DataFrame) -> dict[str, Any]:
    published = "unknown" if reported is None else f"{reported:g}"
    if plan.preset.claims == "orderings":
        scale = f"values are judged at the paper's scale only; preset {plan.name} speaks about orderings"
        return _not_run(scale, published)
    if claim.dataset not in {*plan.preset.test_on, *scores.testset}:
        return _not_run(f"{claim.dataset} is not a test set of preset {plan.name}", published)
    if entry not in plan.entries:
        return _not_run(_not_made(plan, entry), published)
    if claim.dataset != COST_SET and claim.dataset not in plan.test_sets(entry):
        return _not_run(f"{entry} is not tested on {claim.dataset}", published)
    if incomplete := _incomplete(plan, claim.dataset):
        return _not_run(incomplete, published)
    run = plan.entries[entry].run
    if plan.preset.train_photos and run and not run.released and claim.dataset != COST_SET:
        return _not_run(f"trained on photos of {plan.preset.train_photos}, not on the paper's", published)
    here = scores[(scores.testset == claim.dataset) & (scores.entry == entry) & (scores.protocol == claim.protocol)]
    summary = summarise(here)
    if summary.empty or pd.isna(summary["mean"].iloc[0]):
        return _not_run(_why_absent(here, entry, claim.protocol), published)
    row = summary.iloc[0]
    measured = f"{row['mean']:.{int(row.decimals)}f}"
    if claim.hardware and claim.hardware not in (device := str(here.iloc[0].device)):
        why = f"published on {claim.hardware}, measured on {device}: {measured}"
        return _not_run(why, published)
    told = {"tested_on": claim.dataset, "measured": measured, "reported": published}
    if reported is None:
        return told | {"verdict": "published value unknown", "why": "no source at hand gives the paper's number"}
    difference = row["mean"] - reported
    inside = abs(difference) <= (claim.tolerance or 0.0) or (pd.notna(row.low) and row.low <= reported <= row.high)
    why = (
        f"differs by {difference:+.{int(row.decimals)}f}; "
        f"tolerance {claim.tolerance or 0:g} or the 95% interval over images"
    )
    return told | {"verdict": "reproduced" if inside else "differs", "why": why}


def _incomplete(plan: Plan, testset: str) -> str | None:
    """Why a published value cannot be compared with one of this set: it has not the photos that it should have."""
    spec = plan.preset.datasets.get(testset)
    if spec is None or spec.source is None or not plan.paths.manifest(testset).is_file():
        return None
    expected = source_of(spec.source, testset).photos
    found = len(read_json(plan.paths.manifest(testset))["images"])
    return None if found == expected else f"{testset} has {found} photos here, {expected} as published"


def _not_run(why: str, reported: str) -> dict[str, Any]:
    return {"verdict": "not run", "measured": "n/a", "reported": reported, "why": why}


def _not_made(plan: Plan, entry: str) -> str:
    if entry in plan.preset.more_entries:
        return f"entry {entry} was not asked for; `--config entries=all` makes it"
    return f"entry {entry} is not in preset {plan.name}"


def _why_absent(scores: pd.DataFrame, entry: str, protocol: str) -> str:
    reasons = scores[(scores.entry == entry) & (scores.protocol == protocol)].reason.dropna()
    if len(reasons):
        return f"{protocol} is n/a: {reasons.iloc[0]}"
    return f"{protocol} is not among the protocols that this set is scored with"
