"""Perception against distortion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.scores import load_scores, row_of, summarise
from tvqsr.report.style import DOUBLE, NothingToDrawError, axis_label, legend_below, looks_of, new_figure

PERCEPTION = ("lpips_alex", "fid", "ssim_y")
"""Vertical axis: the first of these that could be measured."""


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """PSNR-Y over the first perceptual protocol that can be measured: better is to the right, and up.

    Bars are 95% intervals over images.

    The dashed line joins the entries that read LR and that none of the others beats in both (Blau and Michaeli 2018).
    """
    scores = load_scores(plan, [entry.name for entry in entries])
    summary = summarise(scores[scores.testset == testset])
    vertical = perceptual_axis(summary)
    if vertical is None:
        raise NothingToDrawError("this preset scores no PSNR-Y, or no second protocol")
    drawing, axes = new_figure(DOUBLE, 3.6)
    axis, looks = axes[0][0], looks_of(list(plan.entries.values()))
    for entry in entries:
        if entry.name == "hr_copy":
            continue
        x, y = (row_of(summary, entry.name, protocol) for protocol in ("psnr_y", vertical))
        colour, marker = looks[entry.name]
        style: dict[str, Any] = {"fmt": marker, "color": colour, "elinewidth": 0.6, "label": entry.title}
        face = "white" if entry.reads == "hr" else colour
        axis.errorbar(x["mean"], y["mean"], xerr=_bar(x), yerr=_bar(y), mfc=face, **style)
    best = front(summary, [entry for entry in entries if entry.reads == "lr"], "psnr_y", vertical)
    if len(best) > 1:
        ends = [[row_of(summary, name, protocol)["mean"] for name in best] for protocol in ("psnr_y", vertical)]
        axis.plot(*ends, color="#666666", linewidth=0.8, linestyle="--", zorder=0, label="Pareto front (reads LR)")
    about = summary[summary.protocol == vertical].iloc[0]
    note = "" if vertical != "ssim_y" else " (SSIM-Y in place of LPIPS and FID, whose weights are absent)"
    axis.set(xlabel="PSNR-Y (dB) →", ylabel=axis_label(about), title=f"{testset}{note}")
    axis.yaxis.set_inverted(not about.higher_is_better)
    legend_below(drawing, "hollow: reads HR")
    return drawing


def perceptual_axis(summary: pd.DataFrame) -> str | None:
    """The protocol set against PSNR-Y; None where there are not both."""
    with_values = set(summary.dropna(subset=["mean"]).protocol)
    found = [protocol for protocol in PERCEPTION if protocol in with_values]
    return found[0] if found and "psnr_y" in with_values else None


def front(summary: pd.DataFrame, entries: list[EntryPlan], x: str, y: str) -> list[str]:
    """Names of the entries that no other one beats in both protocols, along x."""
    names = {entry.name for entry in entries}
    gains: dict[str, Mapping[Any, float]] = {}
    for protocol in (x, y):
        rows = summary[(summary.protocol == protocol) & summary.entry.isin(names)].dropna(subset=["mean"])
        sign = 1 if rows.higher_is_better.all() else -1
        gains[protocol] = dict(zip(rows.entry, rows["mean"] * sign, strict=True))
    found: list[str] = []
    reached = float("-inf")
    common = [name for name in gains[x] if name in gains[y]]
    for name in sorted(common, key=lambda name: (-gains[x][name], -gains[y][name])):
        if gains[y][name] > reached:
            found.append(name)
            reached = gains[y][name]
    return found


def _bar(row: pd.Series) -> list[list[float]] | None:
    if pd.isna(row.low):
        return None
    return [[row["mean"] - row.low], [row.high - row["mean"]]]
