"""The numbers behind the interactive plots, from the same functions as the figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.report.figures import codebook, codes, cost, curves, plane
from tvqsr.report.page.distribution import distributions
from tvqsr.report.page.titles import titles_of
from tvqsr.report.scores import load_scores
from tvqsr.report.stored import read_table
from tvqsr.report.style import looks_of

POINTS = 150
"""Of a curve, at most."""
RANKS = 96
"""Of a codebook, at most, evenly in log of the rank."""


def plotted(plan: Plan) -> dict[str, Any]:
    """All numbers as JSON-like values; None where there is none."""
    scores = load_scores(plan)
    sets = {testset: _summary(plan, testset) for testset in plan.preset.test_on if plan.entries_on(testset)}
    return {
        "entries": list(_entries(plan)),
        "protocols": _protocols(pd.concat(sets.values(), ignore_index=True)),
        "sets": {
            testset: _of_set(plan, testset, summary, scores[scores.testset == testset])
            for testset, summary in sets.items()
        },
        "curves": {run: _curve(plan, run) for run in plan.runs if not plan.runs[run].released},
        "efficiency": _efficiency(plan),
    }


def figures(plan: Plan) -> dict[str, dict[str, str]]:
    """Kind of figure -> format -> where it lies beside the page, of the main table or of the whole preset."""
    found: dict[str, dict[str, str]] = {}
    for name in plan.figures:
        kind, _, table = name.partition(".")
        if table in ("", "main"):
            files = {ending: plan.paths.figure(name, ending) for ending in ("pdf", "png")}
            found[kind] = {ending: path.relative_to(plan.paths.root).as_posix() for ending, path in files.items()}
    return found


def _entries(plan: Plan) -> Iterator[dict[str, Any]]:
    looks = looks_of(list(plan.entries.values()))
    titles = titles_of(plan)
    first = {entry.name for entry in plan.figure_entries("plane.main")}
    for name, entry in plan.entries.items():
        folders = {
            testset: plan.paths.images(name, entry.seeds[0], testset).relative_to(plan.paths.root).as_posix()
            for testset in plan.test_sets(name)
        }
        about = {"name": name, "title": titles[name], "reads": entry.reads, "kind": entry.method.spec.kind}
        look = {"colour": looks[name][0], "marker": looks[name][1]}
        yield about | look | {"first": name in first, "folders": folders, "given": entry.has_outputs}


def _summary(plan: Plan, testset: str) -> pd.DataFrame:
    """What all tables say of a test set, each entry and protocol once."""
    tables = [read_table(plan.paths.table(name, testset, "csv")) for name in _tables_of(plan, testset)]
    if not tables:
        return pd.DataFrame(columns=["entry", "protocol"])
    return pd.concat(tables, ignore_index=True).drop_duplicates(["entry", "protocol"], ignore_index=True)


def _tables_of(plan: Plan, testset: str) -> list[str]:
    return [name for name in plan.tables if testset in plan.table_sets(name)]


def _protocols(summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        str(row.protocol): {
            "title": row.title,
            "higher": bool(row.higher_is_better),
            "decimals": int(row.decimals),
            "says": row.definition,
        }
        for _, row in summary.drop_duplicates("protocol").iterrows()
    }


def _of_set(plan: Plan, testset: str, summary: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any]:
    values: dict[str, dict[str, list[float | None]]] = {}
    for row in summary.dropna(subset=["mean"]).to_dict("records"):
        ends = [number(row[key]) for key in ("mean", "low", "high", "seed_sd")]
        values.setdefault(str(row["protocol"]), {})[str(row["entry"])] = ends
    absent = {
        str(protocol): str(rows.reason.iloc[0])
        for protocol, rows in summary.groupby("protocol", sort=False)
        if rows["mean"].isna().all()
    }
    here = plan.entries_on(testset)
    reading_lr = [entry for entry in here if entry.reads == "lr"]
    fronts = {f"{x} {y}": plane.front(summary, reading_lr, x, y) for x in values for y in values if x != y}
    sized = [plan.entries[name] for name in plan.tables["codebook"].entries] if "codebook" in plan.tables else []
    panels = codebook.panels_of(plan, summary, [entry for entry in sized if entry in here], testset)
    return {
        "summary": values,
        "absent": absent,
        "fronts": fronts,
        "images": distributions(scores),
        "codes": {entry.name: use for entry in here if (use := _codes(plan, entry.name, testset))},
        "costs": {entry.name: asdict(cost.cost_of(plan, entry, testset)) for entry in here if not entry.has_outputs},
        "codebook": {measure: [asdict(line) for line in lines] for measure, lines in panels.items()},
    }


def _codes(plan: Plan, entry: str, testset: str) -> dict[str, Any] | None:
    used = codes.codes_of(plan, plan.entries[entry], testset)
    if used is None:
        return None
    books = []
    for share in codes.shares(used):
        count = len(share)
        ranks = np.unique(np.geomspace(1, count, min(count, RANKS)).round().astype(int)) if count > RANKS else None
        shown = np.arange(1, count + 1) if ranks is None else ranks
        books.append({"ranks": shown.tolist(), "shares": [number(share[rank - 1]) for rank in shown]})
    return {"words": codes.in_words(used), "books": books}


def _curve(plan: Plan, run: str) -> dict[str, Any]:
    """The curves of a training, thinned, of every seed."""
    users = [
        titles_of(plan)[entry.name]
        for entry in plan.entries.values()
        if entry.run and plan.runs[run] in entry.run.lineage()
    ]
    seeds = {}
    for seed in plan.seeds_of(run):
        curve = curves.smoothed(plan, run, seed)
        thin = curve.iloc[:: max(1, math.ceil(len(curve) / POINTS))]
        columns = {str(name): [number(value) for value in thin[name]] for name in thin.columns}
        seeds[str(seed)] = {"step": columns.pop("step"), "terms": columns}
    return {"used_by": users, "seeds": seeds}


def _efficiency(plan: Plan) -> dict[str, dict[str, float | None]]:
    """Milliseconds and MACs of each entry for one image of 64 x 64, where costs are part of the run."""
    if not plan.preset.efficiency:
        return {}
    records = {name: read_json(plan.paths.efficiency(name)) for name in plan.entries}
    return {
        name: {
            "milliseconds": record["milliseconds"]["median"] if record["milliseconds"] else None,
            "macs": number(record["macs"]),
        }
        for name, record in records.items()
    }


def number(value: Any) -> float | None:
    """Six digits; None for what is no number."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    return float(f"{float(value):.6g}")
