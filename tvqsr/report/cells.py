"""What a table shows of a summary: which columns, and what is in a cell."""

from __future__ import annotations

import pandas as pd

from tvqsr.plan.protocols import ABSENT, TOO_SMALL

NEWS = (ABSENT, TOO_SMALL)
"""How reasons begin for which a column of nothing but n/a is shown: what is not computed here, but might be."""


def shown_protocols(summary: pd.DataFrame) -> list[str]:
    """Protocols worth a column, in order.

    Those with a value somewhere, and those that no entry could be scored with (their n/a is news).
    """
    names = list(dict.fromkeys(summary.protocol))
    return [name for name in names if _is_shown(summary[summary.protocol == name])]


def _is_shown(rows: pd.DataFrame) -> bool:
    measured = bool(rows["mean"].notna().any())
    return measured or bool(rows.reason.fillna("").str.startswith(NEWS).any())


def cell(row: pd.Series) -> str:
    """`25.31 [24.10, 26.52] ±0.05`: mean and how it spreads; `n/a` where there is no value."""
    return " ".join([mean_of(row), *spreads(row)])


def mean_of(row: pd.Series) -> str:
    """The mean as a table shows it, or `n/a`."""
    return "n/a" if pd.isna(row["mean"]) else _number(row, "mean")


def spreads(row: pd.Series) -> list[str]:
    """How a mean spreads: interval over images, or else the standard error over them, and deviation over seeds.

    Only a deviation over seeds begins with `±`.
    """
    told: list[str] = []
    if pd.isna(row["mean"]):
        return told
    if pd.notna(row.low):
        told.append(f"[{_number(row, 'low')}, {_number(row, 'high')}]")
    if pd.notna(row.get("error")):
        told.append(f"(SE {_number(row, 'error')})")
    if pd.notna(row.seed_sd):
        told.append(f"±{_number(row, 'seed_sd')}")
    return told


def emphasised(row: pd.Series) -> str:
    """The cell in Markdown: the mean bold where it is the best, underlined where it is the second best."""
    around = {"best": "**{}**", "second": "<u>{}</u>"}.get(row.get("mark", ""), "{}")
    return " ".join([around.format(mean_of(row)), *spreads(row)])


def _number(row: pd.Series, key: str) -> str:
    return f"{row[key]:z.{int(row.decimals)}f}"
