"""Losses over the iterations of every training."""

from __future__ import annotations

import math
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tvqsr.csv_files import read_csv
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.runs import Run
from tvqsr.report.style import COLOURS, DOUBLE, NothingToDrawError, new_figure

STYLES = ("-", "--", ":", "-.")


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """One panel per run, one colour per loss term (a running mean of the logged values), one line style per seed."""
    runs = trained(entries)
    if not runs:
        raise NothingToDrawError("none of these entries is trained")
    columns = min(3, len(runs))
    rows = math.ceil(len(runs) / columns)
    drawing, axes = new_figure(DOUBLE, 1.9 * rows, rows, columns)
    panels = [axis for row in axes for axis in row]
    for axis in panels[len(runs) :]:
        axis.set_visible(False)
    for axis, run in zip(panels, runs, strict=False):
        for style, seed in zip(cycle(STYLES), plan.preset.seeds, strict=False):
            _lines(axis, smoothed(plan, run.name, seed), style, labelled=seed == plan.preset.seeds[0])
        axis.set(title=f"{run.name}{_diverges(plan, run)}", xlabel="iteration")
        axis.set_yscale("symlog", linthresh=1e-3)
        axis.legend(fontsize=5, ncols=2)
    return drawing


def trained(entries: list[EntryPlan]) -> list[Run]:
    """All trainings behind entries, each once, the needed before the needing."""
    lineages = [run for entry in entries if entry.run for run in entry.run.lineage() if not run.released]
    return list({run.name: run for run in lineages}.values())


def _diverges(plan: Plan, run: Run) -> str:
    """Seeds whose training went beyond all measure, as its curve tells."""
    seeds = [seed for seed in plan.preset.seeds if "diverging" in read_csv(plan.paths.curve(run.name, seed), nrows=0)]
    return f"\nseed {', '.join(map(str, seeds))} diverges" if seeds else ""


def smoothed(plan: Plan, run: str, seed: int) -> pd.DataFrame:
    """The curve of a training: `step`, and every loss term as a running mean over a twentieth of what was logged."""
    curve = read_csv(plan.paths.curve(run, seed))
    curve = curve.drop(columns="diverging", errors="ignore")
    terms = [name for name in curve.columns if name != "step"]
    curve[terms] = curve[terms].rolling(max(1, len(curve) // 20), min_periods=1).mean()
    return curve


def _lines(axis: Axes, curve: pd.DataFrame, style: str, labelled: bool) -> None:
    terms = [name for name in curve.columns if name != "step"]
    for colour, term in zip(cycle(COLOURS), terms, strict=False):
        label = term.split("/")[-1] if labelled else None
        axis.plot(curve.step, curve[term], style, color=colour, linewidth=0.8, label=label)
