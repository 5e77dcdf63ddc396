"""How evenly each method uses its codebook."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.style import DOUBLE, NothingToDrawError, legend_below, looks_of, new_figure


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """Share of the positions of the test set that fall on each code, codes sorted by use; a line for each codebook.

    A flat line is even use.
    """
    used = {entry.name: codes for entry in entries if (codes := codes_of(plan, entry, testset))}
    if not used:
        raise NothingToDrawError("none of these entries has a codebook")
    drawing, axes = new_figure(DOUBLE, 3.4)
    axis, looks = axes[0][0], looks_of(list(plan.entries.values()))
    for entry in entries:
        if entry.name not in used:
            continue
        codes, (colour, marker) = used[entry.name], looks[entry.name]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1}
        style["linestyle"] = "--" if entry.reads == "hr" else "-"
        for number, share in enumerate(shares(codes)):
            label = None if number else f"{entry.title}: {in_words(codes)}"
            shown = np.where(share > 0, share, np.nan)
            axis.plot(np.arange(1, len(share) + 1), shown, label=label, markevery=max(1, len(share) // 8), **style)
    axis.set(xlabel="code, by rank", ylabel="share of positions", yscale="log")
    axis.set_title(f"{testset}, first seed (dashed: reads HR)")
    legend_below(drawing, None, columns=2)
    return drawing


def codes_of(plan: Plan, entry: EntryPlan, testset: str) -> dict[str, Any] | None:
    """Use of an entry's codebooks on a test set, first seed; None without a codebook."""
    found: dict[str, Any] | None = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))["codes"]
    return found or None


def shares(codes: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Of each codebook, the share of positions that falls on each code, the most used first."""
    counts = (np.asarray(codebook["counts"], dtype=np.float64) for codebook in codes["codebooks"])
    return [np.sort(count)[::-1] / max(count.sum(), 1.0) for count in counts]


def in_words(codes: dict[str, Any]) -> str:
    """Share used, perplexity, and how many indices were predicted rightly, where any were predicted."""
    several = f"{len(codes['codebooks'])} codebooks, " if len(codes["codebooks"]) > 1 else ""
    accuracy = "" if codes["accuracy"] is None else f", {codes['accuracy']:.1%} of indices right"
    return f"{several}{codes['used']:.0%} used, perplexity {codes['perplexity']:.0f}{accuracy}"
