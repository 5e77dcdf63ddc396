"""The verdicts on the published claims, for a reader at the console or a script that asks whether any failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tvqsr.errors import UserError
from tvqsr.plan import Plan

FAILED = ("differs", "ordering reversed", "reversed without interval")
"""Verdicts that speak against a claim."""
OPEN = ("not run",)
"""Verdicts that say nothing of it."""


def read_verdicts(plan: Plan) -> pd.DataFrame:
    """`claims.csv` of finished results. Raises UserError if it is not there."""
    if not plan.paths.claims.is_file():
        raise UserError(f"{plan.paths.claims}: missing; `snakemake --cores all claims` of this preset makes it")
    return pd.read_csv(plan.paths.claims, dtype=str, keep_default_na=False)


def failed(verdicts: pd.DataFrame) -> int:
    """How many claims, or values of claims, were run and do not hold."""
    return int(verdicts.verdict.isin(FAILED).sum())


def told(verdicts: pd.DataFrame, everything: bool) -> str:
    """Each claim that was run (`everything`: each there is), the failed ones last; and how many of each verdict."""
    shown = verdicts if everything else verdicts[~verdicts.verdict.isin(OPEN)]
    last = shown.verdict.isin(FAILED)
    lines = [_line(row) for part in (shown[~last], shown[last]) for row in part.to_dict("records")]
    return "\n".join([*lines, *([""] if lines else []), _counts(verdicts.verdict.tolist())])


def _line(row: dict[Any, Any]) -> str:
    where = f" on {row['tested_on'] or row['published_on']}"
    told_of = f"{row['claim']}, {row['kind']}{where}: {row['measured']}; published: {row['reported']}"
    return f"{row['verdict'].upper() if row['verdict'] in FAILED else row['verdict']}  {told_of}\n    {row['why']}"


def _counts(verdicts: Sequence[str]) -> str:
    counts = pd.Series(verdicts).value_counts()
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no claims"
