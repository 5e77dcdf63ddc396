"""How evenly each method uses its codebook."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.style import NothingToDrawError, colour_of, new_figure


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """Share of the positions of the test set that fall on each code, codes sorted by use.

    A flat line is even use.
    """
    drawing, axes = new_figure(6.4, 3.8)
    axis = axes[0][0]
    drawn = False
    for entry in entries:
        codes = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))["codes"]
        if not codes:
            continue
        accuracy = "" if codes["accuracy"] is None else f", {codes['accuracy']:.1%} of indices right"
        several = f"{len(codes['codebooks'])} codebooks, " if len(codes["codebooks"]) > 1 else ""
        label = f"{entry.title}: {several}{codes['used']:.0%} used, perplexity {codes['perplexity']:.0f}{accuracy}"
        style = "--" if entry.reads == "hr" else "-"
        for number, codebook in enumerate(codes["codebooks"]):
            share = np.sort(np.asarray(codebook["counts"], dtype=np.float64))[::-1] / sum(codebook["counts"])
            axis.plot(
                np.arange(1, len(share) + 1),
                np.where(share > 0, share, np.nan),
                style,
                color=colour_of(plan, entry.name),
                label=None if number else label,
            )
        drawn = True
    if not drawn:
        raise NothingToDrawError("none of these entries has a codebook")
    axis.set(
        xlabel="code, by rank",
        ylabel="share of positions",
        yscale="log",
        title=f"{testset}, first seed (dashed: reads HR)",
    )
    axis.legend(fontsize=7)
    return drawing
