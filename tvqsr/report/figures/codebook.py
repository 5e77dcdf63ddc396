"""Reconstruction against the size of the codebook: the paper's Figure 1c."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.scores import load_scores, row_of, summarise
from tvqsr.report.style import COLOURS, MARKERS, NothingToDrawError, new_figure

BESIDE = 1.02
MEASURES = ("fid", "lpips_alex", "psnr_y")


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """One panel per measure that could be taken, one line per method."""
    entries = [entry for entry in entries if size_of(entry)]
    if not entries:
        raise NothingToDrawError("the table `codebook` has no entries with a codebook")
    scores = load_scores(plan, [entry.name for entry in entries])
    summary = summarise(scores[scores.testset == testset])
    with_values = set(summary.dropna(subset=["mean"]).protocol)
    shown = [measure for measure in MEASURES if measure in with_values]
    drawing, axes = new_figure(max(4.2 * len(shown), 5), 3.4, columns=max(1, len(shown)))
    for axis, measure in zip(axes[0], shown, strict=False):
        by_method = groupby(sorted(entries, key=_place), key=lambda entry: entry.method.spec.title)
        for number, ((title, group), colour, marker) in enumerate(zip(by_method, COLOURS, MARKERS, strict=False)):
            # A little to the side of the one before, or their bars would hide each other.
            style = {"color": colour, "marker": marker, "label": title}
            _line(axis, summary, measure, list(group), BESIDE**number, style)
        about = summary[summary.protocol == measure].iloc[0]
        axis.set(xlabel="codes", xscale="log", title=testset)
        axis.set_ylabel(f"{about.title} {'→' if about.higher_is_better else '(lower is better)'}")
        sizes = sorted({size_of(entry) for entry in entries})
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.legend(fontsize=8)
    return drawing


def size_of(entry: EntryPlan) -> int:
    """Number of codes of the tokenizer behind an entry; 0 without one."""
    runs = entry.run.lineage() if entry.run else []
    return next((int(run.settings["codebook_size"]) for run in runs if "codebook_size" in run.settings), 0)


def _place(entry: EntryPlan) -> tuple[str, int]:
    return entry.method.spec.title, size_of(entry)


def _line(
    axis: Axes, summary: pd.DataFrame, measure: str, entries: list[EntryPlan], beside: float, style: dict[str, Any]
) -> None:
    rows = [row_of(summary, entry.name, measure) for entry in entries]
    means = [row["mean"] for row in rows]
    bars = None
    if all(pd.notna(row.low) for row in rows):
        bars = [[row["mean"] - row.low for row in rows], [row.high - row["mean"] for row in rows]]
    axis.errorbar(
        [size_of(entry) * beside for entry in entries], means, yerr=bars, linewidth=1, elinewidth=0.7, **style
    )
