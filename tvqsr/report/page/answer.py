"""The answer at the top of the page: how many claims hold, and which; published ones and our questions apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvqsr.report.check import OURS
from tvqsr.report.trainings import UNKNOWN

GROUPS = {
    "holds": "hold",
    "fails": "do not hold",
    "open": "are undecided",
    "apart": "measured, but not comparable",
    "absent": "were not run",
}
"""Group of verdicts -> what is said of its claims."""
SHOWN = ("holds", "fails", "open")
FIRST = 5
"""Claims of a group that are told at once; the others unfold."""
TRUST = ("primary", "digest", "third party", "ours")


def answer(claims: Sequence[dict[str, Any]], titles: Mapping[str, str]) -> dict[str, Any]:
    """Counts by group of verdicts, and the claims that were decided or left open, the published ones first.

    `published` and `ours` are counted each for itself: what nobody published no publication can fail.

    A number or an ordering that several claims state counts once, by the row that no other one stands for. `titles`
    names protocols for readers.
    """
    claims = [claim for claim in claims if not claim.get("instead")]
    groups = []
    for group in SHOWN:
        mine = sorted((claim for claim in claims if claim["group"] == group), key=_weight)
        told = list(dict.fromkeys(_sentence(claim, titles) for claim in mine))
        groups.append({"group": group, "says": GROUPS[group], "first": told[:FIRST], "rest": told[FIRST:]})
    return {
        "published": _tally([claim for claim in claims if claim["trust"] != OURS]),
        "ours": _tally([claim for claim in claims if claim["trust"] == OURS]),
        "once": sum(bool(claim["once"]) for claim in claims if claim["group"] in SHOWN),
        "unknown": UNKNOWN,
        "groups": [group for group in groups if group["first"]],
    }


def _tally(claims: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many claims each group has, and how many were judged."""
    counts = {group: sum(claim["group"] == group for claim in claims) for group in GROUPS}
    return {
        "counts": [{"group": group, "count": count, "says": GROUPS[group]} for group, count in counts.items()],
        "judged": sum(counts[group] for group in SHOWN),
    }


def _weight(claim: dict[str, Any]) -> int:
    return TRUST.index(claim["trust"]) if claim["trust"] in TRUST else len(TRUST)


def _sentence(claim: dict[str, Any], titles: Mapping[str, str]) -> tuple[str, str]:
    """The claim in words, and the numbers behind it."""
    of_entry = "" if claim["kind"] == "ordering" else f" ({claim['kind'].removeprefix('value of ')})"
    where = f" on {claim['tested_on']}" if claim["tested_on"] else ""
    return (
        f"{claim['sentence']}{of_entry}",
        f"{titles.get(claim['protocol'], claim['protocol'])}{where}: {claim['measured']}{claim['once']}",
    )
