"""Entries compared in pairs, image by image: how far one is ahead, whether that is decided, and what could be seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.schema import suggestion
from tvqsr.report.claims import FEW_IMAGES
from tvqsr.report.paired import Lead, leads
from tvqsr.report.scores import WHOLE_SET, load_scores
from tvqsr.statistics import LEVEL, detectable, holm


def compare(plan: Plan, entries: Sequence[str], testset: str, protocols: Sequence[str]) -> pd.DataFrame:
    """One row per protocol and pair of entries that share images of a test set.

    `ahead` is the mean over images of the first entry's advantage, seeds averaged, positive where it is better
    whichever way the protocol points, and `low` and `high` its 95% bootstrap interval. `p` is of the sign test,
    `p_holm` corrected over all pairs of the protocol. `by_seed` holds the advantage of each common seed, `detectable`
    the least true difference that the sign test would find in 80% of cases at Holm's strictest level for these pairs
    (seeds apart), nan where it can find none. An advantage is `decided` if it is a decided lead
    (`Lead.decided`), by most images, and `p_holm` reaches 5%. Raises UserError for an entry, test set or protocol that
    the plan does not have.
    """
    _check(plan, entries, testset, protocols)
    scores = load_scores(plan, entries)
    scores = scores[(scores.testset == testset) & (scores.image != WHOLE_SET)]
    rows: list[dict[str, Any]] = []
    for protocol in protocols:
        found = leads(scores[scores.protocol == protocol], list(combinations(entries, 2)))
        p_values = [lead.p for lead in found]
        of_pairs = zip(found, p_values, holm(p_values), strict=True)
        rows += [{"protocol": protocol, **_row(*of_pair, len(found))} for of_pair in of_pairs]
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
            "detectable": ["n/a" if pd.isna(value) else f"{value:.3g}" for value in table.detectable],
        }
    )
    few = (
        f"\n\nWith fewer than {FEW_IMAGES} images intervals are too narrow, and of five the sign test reaches no 5%."
        if min(table.images) < FEW_IMAGES
        else ""
    )
    return f"{shown.to_markdown(index=False, disable_numparse=True)}{few}\n\n{_of_detectable(table)}"


def _of_detectable(table: pd.DataFrame) -> str:
    """What the column is, and of how many images and pairs it has no number."""
    said = (
        "Detectable: the true difference that the sign test, at Holm's strictest level for all pairs of a protocol, "
        "finds in 80% of cases if differences are normal with the deviation seen here."
    )
    none = table[table.detectable.isna()].drop_duplicates(["images", "pairs"])
    return " ".join(
        [
            said,
            *(
                f"n/a: no difference can be decided of {row.images} images and {row.pairs} pair"
                f"{'' if row.pairs == 1 else 's'}."
                for row in none.itertuples()
            ),
        ]
    )


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


def _row(lead: Lead, p: float, corrected: float, pairs: int) -> dict[str, Any]:
    return {
        "entry": lead.entry,
        "against": lead.against,
        "ahead": lead.mean,
        "low": lead.interval[0],
        "high": lead.interval[1],
        "decided": lead.decided != 0 and lead.most == lead.decided and corrected <= LEVEL,
        "won": int((lead.by_image > 0).sum()),
        "images": len(lead.by_image),
        "p": p,
        "by_seed": list(lead.by_seed),
        "pairs": pairs,
        "detectable": float("nan") if (least := detectable(lead.by_image.tolist(), pairs)) is None else least,
        "p_holm": corrected,
    }
