"""Score tables for the page: every cell with what it is sorted by, its mark, and the reason where it is n/a."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tvqsr.plan import Plan
from tvqsr.report.cells import mean_of, shown_protocols, spreads
from tvqsr.report.efficiency import HEADING, cost_records
from tvqsr.report.efficiency import grid as cost_grid
from tvqsr.report.efficiency import notes as cost_notes
from tvqsr.report.notes import notes, protocol_told
from tvqsr.report.page.titles import titles_of
from tvqsr.report.scores import row_of
from tvqsr.report.stored import read_table
from tvqsr.report.tables import heading, plain_words


def score_tables(plan: Plan) -> list[dict[str, Any]]:
    """All tables in order; a line beside one that stood beside another before is not said again."""
    tables = [_table(plan, name, testset) for name in plan.tables for testset in plan.table_sets(name)]
    said: set[str] = set()
    for table in tables:
        for part in ("words", "notes"):
            table[part] = [line for line in table[part] if line not in said]
        said.update(table["words"], table["notes"])
    return tables


def _table(plan: Plan, name: str, testset: str) -> dict[str, Any]:
    summary = read_table(plan.paths.table(name, testset, "csv"))
    protocols = shown_protocols(summary)
    of_each = {protocol: summary[summary.protocol == protocol] for protocol in protocols}
    columns = [
        {
            "protocol": protocol,
            "title": rows.title.iloc[0],
            "higher": bool(rows.higher_is_better.iloc[0]),
            "says": protocol_told(rows),
        }
        for protocol, rows in of_each.items()
    ]
    return {
        "name": name,
        "title": plan.tables[name].title,
        "testset": testset,
        "heading": heading(plan, plan.tables[name], testset, summary),
        "columns": columns,
        "rows": [_row(plan, entry, summary, protocols) for entry in dict.fromkeys(summary.entry)],
        "words": plain_words(plan, summary),
        "notes": notes(summary),
    }


def _row(plan: Plan, name: str, summary: pd.DataFrame, protocols: list[str]) -> dict[str, Any]:
    entry = plan.entries[name]
    return {
        "entry": name,
        "title": titles_of(plan)[name],
        "reads": entry.reads.upper(),
        "seeds": len(entry.seeds),
        "cells": [score_cell(row_of(summary, name, protocol)) for protocol in protocols],
    }


def score_cell(row: pd.Series) -> dict[str, Any]:
    """A cell: `text` (mean), `small` (how it spreads), `sort`, `mark`, `why` if n/a."""
    mark = row.get("mark")
    cell = {"text": "n/a", "small": "", "sort": "", "mark": mark if isinstance(mark, str) else "", "why": ""}
    if pd.isna(row["mean"]):
        return cell | {"why": str(row.reason)}
    return cell | {"text": mean_of(row), "small": " ".join(spreads(row)), "sort": repr(float(row["mean"]))}


def cost_table(plan: Plan) -> dict[str, Any]:
    """The table of costs, as its Markdown has it."""
    records = cost_records(plan)
    rows = cost_grid(plan, records)
    return {
        "heading": HEADING,
        "columns": list(rows.columns),
        "rows": rows.values.tolist(),
        "notes": cost_notes(plan, records),
    }
