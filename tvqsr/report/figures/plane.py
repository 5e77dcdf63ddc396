"""Perception against distortion."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.scores import load_scores, row_of, summarise
from tvqsr.report.style import NothingToDrawError, looks_of, new_figure

PERCEPTION = ("lpips_alex", "fid", "ssim_y")
"""Vertical axis: the first of these that could be measured."""


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """PSNR-Y to the right, perceptual distance upwards where it can be measured; bars are 95% intervals over images."""
    scores = load_scores(plan, [entry.name for entry in entries])
    summary = summarise(scores[scores.testset == testset])
    with_values = set(summary.dropna(subset=["mean"]).protocol)
    measured = [protocol for protocol in PERCEPTION if protocol in with_values]
    if not measured or "psnr_y" not in with_values:
        raise NothingToDrawError("this preset scores no PSNR-Y, or no second protocol")
    drawing, axes = new_figure(8.6, 4.2)
    axis = axes[0][0]
    vertical = measured[0]
    looks = looks_of(entries)
    for entry in entries:
        if entry.name == "hr_copy":
            continue
        x, y = (row_of(summary, entry.name, protocol) for protocol in ("psnr_y", vertical))
        colour, marker = looks[entry.name]
        face = "none" if entry.reads == "hr" else colour
        axis.errorbar(
            x["mean"],
            y["mean"],
            xerr=_bar(x),
            yerr=_bar(y),
            fmt=marker,
            color=colour,
            mfc=face,
            elinewidth=0.7,
            label=entry.title,
        )
    about = summary[summary.protocol == vertical].iloc[0]
    note = "" if vertical != "ssim_y" else "\n(SSIM-Y in place of LPIPS and FID, whose weights are absent)"
    axis.set(
        xlabel="PSNR-Y (dB) →",
        ylabel=f"{about.title} {'→' if about.higher_is_better else '(lower is better)'}",
        title=f"{testset}{note}",
    )
    drawing.legend(loc="outside right upper", fontsize=7, title="hollow: reads HR", title_fontsize=7)
    return drawing


def _bar(row: pd.Series) -> list[list[float]] | None:
    if pd.isna(row.low):
        return None
    return [[row["mean"] - row.low], [row.high - row["mean"]]]
