"""Entries compared in pairs, image by image: how far one is ahead, whether that is decided, and what could be seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.schema import suggestion
from tvqsr.report.claims import FEW_IMAGES
from tvqsr.report.scores import load_scores, per_image
from tvqsr.statistics import detectable, holm, mean_interval, sign_test

WHOLE_SET = "(set)"
"""Of scores of a whole set there is one number, and nothing to pair."""


def compare(plan: Plan, entries: Sequence[str], testset: str, protocols: Sequence[str]) -> pd.DataFrame:
    """One row per protocol and pair of entries that share images of a test set.

    `ahead` is the mean over images of the first entry's advantage, seeds averaged, positive where it is better
    whichever way the protocol points, and `low` and `high` its 95% bootstrap interval. `p` is of the sign test,
    `p_holm` corrected over all pairs of the protocol. `by_seed` holds the advantage of each common seed, `detectable`
    the least difference that as many images would show. An advantage is `decided` if the interval excludes zero and
    every seed alone agrees. Raises UserError for an entry, test set or protocol that the plan does not have.
    """
    _check(plan, entries, testset, protocols)
    scores = load_scores(plan, entries)
    scores = scores[(scores.testset == testset) & (scores.image != WHOLE_SET)]
    rows: list[dict[str, Any]] = []
    for protocol in protocols:
        here = scores[scores.protocol == protocol]
        found = [row for pair in combinations(entries, 2) if (row := _pair(here, *pair))]
        corrected = holm([row["p"] for row in found])
        rows += [{"protocol": protocol, **row, "p_holm": p} for row, p in zip(found, corrected, strict=True)]
    return pd.DataFrame(rows)


def told(table: pd.DataFrame, testset: str) -> str:
    """The comparison as text."""
    if table.empty:
        return f"{testset}: no two of these entries have a score in common"
    shown = pd.DataFrame(
        {
            "protocol": table.protocol,
            "entry": table.entry,
            "against": table.against,
            "ahead by": [f"{row.ahead:+.4g} [{row.low:+.4g}, {row.high:+.4g}]" for row in table.itertuples()],
            "decided": ["yes" if decided else "no" for decided in table.decided],
            "images won": [f"{row.won} of {row.images}" for row in table.itertuples()],
            "p (sign)": [f"{p:.3g}" for p in table.p],
            "p (Holm)": [f"{p:.3g}" for p in table.p_holm],
            "by seed": [", ".join(f"{value:+.4g}" for value in seeds) for seeds in table.by_seed],
            "detectable": [f"{value:.3g}" for value in table.detectable],
        }
    )
    few = (
        f"\n\nWith fewer than {FEW_IMAGES} images the intervals are too narrow."
        if min(table.images) < FEW_IMAGES
        else ""
    )
    return f"{shown.to_markdown(index=False, disable_numparse=True)}{few}"


def _check(plan: Plan, entries: Sequence[str], testset: str, protocols: Sequence[str]) -> None:
    for entry in entries:
        plan.entry(entry)
    if len(set(entries)) < 2:
        raise UserError("name two entries or more, each once")
    if testset not in plan.preset.test_on:
        raise UserError(f"unknown test set `{testset}`{suggestion(testset, plan.preset.test_on)}")
    for protocol in protocols:
        if protocol not in plan.protocols_on(testset):
            raise UserError(
                f"{testset} is not scored with `{protocol}`{suggestion(protocol, plan.protocols_on(testset))}"
            )


def _pair(scores: pd.DataFrame, entry: str, against: str) -> dict[str, Any] | None:
    """A pair of entries under one protocol, None if they share fewer than two images."""
    ahead = _advantage(scores, entry, against)
    if len(ahead) < 2:
        return None
    mean, interval = mean_interval(ahead.tolist())
    assert interval is not None
    mine, theirs = (set(scores[scores.entry == name].seed) for name in (entry, against))
    # Controls have one seed, which stands against each of the other's.
    seeds = sorted(mine & theirs) or sorted(mine | theirs)
    by_seed = [float(_advantage(scores[scores.seed == seed], entry, against).mean()) for seed in seeds]
    agree = all(np.sign(value) == np.sign(mean) for value in by_seed if not np.isnan(value))
    return {
        "entry": entry,
        "against": against,
        "ahead": mean,
        "low": interval[0],
        "high": interval[1],
        "decided": bool((interval[0] > 0 or interval[1] < 0) and agree),
        "won": int((ahead > 0).sum()),
        "images": len(ahead),
        "p": sign_test(ahead.tolist()),
        "by_seed": [value for value in by_seed if not np.isnan(value)],
        "detectable": detectable(ahead.tolist()),
    }


def _advantage(scores: pd.DataFrame, entry: str, against: str) -> pd.Series:
    if scores.empty:
        return pd.Series(dtype=float)
    mine, theirs = (per_image(scores, name, str(scores.protocol.iloc[0])) for name in (entry, against))
    shared = mine.index.intersection(theirs.index)
    return (mine - theirs)[shared] * (1 if bool(scores.higher_is_better.iloc[0]) else -1)
