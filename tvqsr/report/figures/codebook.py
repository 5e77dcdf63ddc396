"""Reconstruction against the size of the codebook: the paper's Figure 1c."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.claim_files import claims_of
from tvqsr.report.scores import load_scores, row_of, summarise
from tvqsr.report.style import COLOURS, DOUBLE, MARKERS, NothingToDrawError, axis_label, legend_below, new_figure

BESIDE = 1.02
MEASURES = ("fid", "lpips_alex", "psnr_y")
PUBLISHED = ("tvqrap", "fid", "imagenet_test")
"""Whose claims tell the published curve, in which protocol and on which set."""
FACTORS = {"quarter": 0.25, "half": 0.5, "eightfold": 8.0}
"""Ends of the entries' names in the claims -> size of the codebook against the published one."""


@dataclass(frozen=True)
class Line:
    """One method, or what was published of it: numbers of codes, and the measure with its interval at each."""

    title: str
    method: str
    published: bool
    sizes: tuple[int, ...]
    entries: tuple[str, ...]
    means: tuple[float | None, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """One panel per measure that could be taken and one of what was published, one line per method."""
    entries = [entry for entry in entries if size_of(entry)]
    if not entries:
        raise NothingToDrawError("the table `codebook` has no entries with a codebook")
    scores = load_scores(plan, [entry.name for entry in entries])
    summary = summarise(scores[scores.testset == testset])
    panels = panels_of(plan, summary, entries, testset)
    drawing, axes = new_figure(DOUBLE, 2.6, columns=len(panels))
    methods = list(dict.fromkeys(line.method for lines in panels.values() for line in lines))
    for axis, (measure, lines) in zip(axes[0], panels.items(), strict=True):
        for line in lines:
            _draw(axis, line, methods.index(line.method))
        mine = summary[summary.protocol == measure]
        measured = any(not line.published for line in lines)
        axis.set(xlabel="codes", xscale="log", title=testset if measured else f"as published, {PUBLISHED[2]}")
        axis.set_ylabel(axis_label(mine.iloc[0]) if measured else "FID (lower is better)")
        sizes = sorted({size for line in lines for size in line.sizes})
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
    legend_below(drawing, None)
    return drawing


def panels_of(plan: Plan, summary: pd.DataFrame, entries: list[EntryPlan], testset: str) -> dict[str, list[Line]]:
    """Measure -> lines: those that could be taken, and the published one, beside ours where the set is the same."""
    with_values = set(summary.dropna(subset=["mean"]).protocol)
    found = {measure: list(lines(summary, entries, measure)) for measure in MEASURES if measure in with_values}
    panels = {measure: mine for measure, mine in found.items() if mine}
    of_paper = published(plan)
    if PUBLISHED[1] in panels and testset == PUBLISHED[2]:
        panels[PUBLISHED[1]] += of_paper
    elif of_paper:
        panels["published"] = of_paper
    return panels


def lines(summary: pd.DataFrame, entries: list[EntryPlan], measure: str) -> Iterator[Line]:
    """What was measured, a line for each method, by size."""
    found = set(summary[summary.protocol == measure].entry)
    placed = sorted((entry for entry in entries if size_of(entry) and entry.name in found), key=_place)
    for (method, title), group in groupby(placed, key=lambda entry: (entry.method.name, entry.method.spec.title)):
        mine = list(group)
        rows = [row_of(summary, entry.name, measure) for entry in mine]
        means, lows, highs = (
            tuple(None if pd.isna(row[name]) else float(row[name]) for row in rows) for name in ("mean", "low", "high")
        )
        names = tuple(entry.name for entry in mine)
        yield Line(title, method, False, tuple(size_of(entry) for entry in mine), names, means, lows, highs)


def published(plan: Plan) -> list[Line]:
    """What the paper reports, where its method is part of the plan: FID on ImageNet-Test from 256 to 8192 codes."""
    method, protocol, dataset = PUBLISHED
    if method not in plan.methods:
        return []
    spec = plan.methods[method].spec
    size = spec.stages["tokenizer"].settings["codebook_size"].default
    of_entry: dict[str, float] = {}
    for claim in claims_of(plan.methods[method]):
        if claim.id.startswith("codebook_") and (claim.protocol, claim.dataset) == (protocol, dataset):
            of_entry |= {entry: value for entry, value in claim.reported.items() if value is not None}
    found = []
    for stem, of_method, title in (("tvq_rec", method, spec.title), ("vq_rec", "vq", "Vanilla VQ")):
        names = {stem: 1.0} | {f"{stem}_{end}": factor for end, factor in FACTORS.items()}
        points = sorted(
            (int(float(str(size)) * factor), name, of_entry[name]) for name, factor in names.items() if name in of_entry
        )
        if points:
            sizes, entries, values = zip(*points, strict=True)
            none = (None,) * len(points)
            found.append(Line(f"{title}, as published", of_method, True, sizes, entries, values, none, none))
    return found


def size_of(entry: EntryPlan) -> int:
    """Number of codes of the tokenizer behind an entry; 0 without one."""
    runs = entry.run.lineage() if entry.run else []
    return next((int(run.settings["codebook_size"]) for run in runs if "codebook_size" in run.settings), 0)


def _place(entry: EntryPlan) -> tuple[str, int]:
    return entry.method.spec.title, size_of(entry)


def _draw(axis: Axes, line: Line, number: int) -> None:
    style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
    means = [float("nan") if value is None else value for value in line.means]
    if line.published:
        axis.plot(line.sizes, means, linestyle="--", linewidth=1, mfc="none", label=line.title, **style)
        return
    bars = None
    if all(low is not None for low in line.lows):
        low, high = ([float(value or 0) for value in ends] for ends in (line.lows, line.highs))
        bars = [[m - v for m, v in zip(means, low, strict=True)], [v - m for m, v in zip(means, high, strict=True)]]
    # A little to the side of the one before, or their bars would hide each other.
    sizes = [size * BESIDE**number for size in line.sizes]
    axis.errorbar(sizes, means, yerr=bars, linewidth=1, elinewidth=0.6, label=line.title, **style)
