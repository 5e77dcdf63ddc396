"""How evenly each method uses its codebook."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.style import NothingToDrawError, looks_of, new_figure


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """Share of the positions of the test set that fall on each code, codes sorted by use; a line for each codebook.

    A flat line is even use.
    """
    records = {
        entry.name: read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset)) for entry in entries
    }
    with_codes = [entry for entry in entries if records[entry.name]["codes"]]
    if not with_codes:
        raise NothingToDrawError("none of these entries has a codebook")
    drawing, axes = new_figure(9.6, 3.8)
    axis, looks = axes[0][0], looks_of(with_codes)
    for entry in with_codes:
        codes, (colour, marker) = records[entry.name]["codes"], looks[entry.name]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        style["linestyle"] = "--" if entry.reads == "hr" else "-"
        for number, codebook in enumerate(codes["codebooks"]):
            share = np.sort(np.asarray(codebook["counts"], dtype=np.float64))[::-1] / sum(codebook["counts"])
            ranks, shown = np.arange(1, len(share) + 1), np.where(share > 0, share, np.nan)
            label = None if number else f"{entry.title}: {_in_words(codes)}"
            axis.plot(ranks, shown, label=label, markevery=max(1, len(share) // 8), **style)
    axis.set(
        xlabel="code, by rank",
        ylabel="share of positions",
        yscale="log",
        title=f"{testset}, first seed (dashed: reads HR)",
    )
    drawing.legend(loc="outside right upper", fontsize=7)
    return drawing


def _in_words(codes: dict[str, Any]) -> str:
    several = f"{len(codes['codebooks'])} codebooks, " if len(codes["codebooks"]) > 1 else ""
    accuracy = "" if codes["accuracy"] is None else f",\n{codes['accuracy']:.1%} of indices right"
    return f"{several}\n{codes['used']:.0%} used, perplexity {codes['perplexity']:.0f}{accuracy}"
