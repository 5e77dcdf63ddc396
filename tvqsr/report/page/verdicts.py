"""Verdicts on the published claims, as rows that the page can filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tvqsr.report.counted import sources
from tvqsr.report.trainings import of_one

GROUP_OF = {
    "ordering holds": "holds",
    "holds without interval": "holds",
    "reproduced": "holds",
    "ordering reversed": "fails",
    "reversed without interval": "fails",
    "differs": "fails",
    "undecided": "open",
    "not run": "absent",
}
"""Verdict -> group; every other verdict was measured and says nothing either way."""
AGAIN = "The same in "
"""How a claim starts that repeats the one before under another protocol."""


def judged(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `claims.csv` in order, each with its group, its method and a sentence that stands alone."""
    rows: list[dict[str, Any]] = []
    before = ""
    for record in claims.to_dict("records"):
        row = {str(key): value for key, value in record.items()}
        statement = row["statement"]
        if not statement.startswith(AGAIN):
            before = statement
        alone = (
            f"{before.rstrip('.')}; in {statement.removeprefix(AGAIN)}" if statement.startswith(AGAIN) else statement
        )
        about = {
            "group": GROUP_OF.get(row["verdict"], "apart"),
            "of": row.get("method") or row["claim"].partition(".")[0],
            "sources": _sources(row),
            "once": of_one(row.get("why", "")),
            "others": [other["claim"] for other in sources(row.get("also", ""))],
        }
        rows.append(row | about | {"sentence": alone})
    return rows


def _sources(row: dict[str, Any]) -> list[dict[str, str]]:
    """Where a row's number is published, each place once."""
    every = [{key: row.get(key, "") for key in ("place", "source", "trust")}, *sources(row.get("also", ""))]
    return list({(source["place"], source["source"]): source for source in reversed(every)}.values())[::-1]


def choices(claims: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """What the verdicts can be filtered by, in order of first appearance."""
    return {
        "verdict": list(dict.fromkeys(claim["verdict"] for claim in claims)),
        "of": list(dict.fromkeys(claim["of"] for claim in claims)),
        "testset": list(dict.fromkeys(claim["tested_on"] or claim["published_on"] for claim in claims)),
        "trust": list(dict.fromkeys(claim["trust"] for claim in claims)),
    }
