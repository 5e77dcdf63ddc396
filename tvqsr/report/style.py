"""One look for all figures: made to be put into a paper as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.files import written_beside
from tvqsr.plan import EntryPlan

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which remain distinct for colour-blind readers; markers tell entries apart beyond eight.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DOUBLE = 6.9
"""Width in inches of a figure across both columns of a page."""
STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "lines.markersize": 4.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    # Outlines of the letters as TrueType, which journals ask for, instead of Type 3.
    "pdf.fonttype": 42,
}


def looks_of(entries: Sequence[EntryPlan]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each entry, by its place: no two alike, up to 64.

    Of all entries of a plan, so that an entry looks alike in all figures.
    """
    numbers = {entry.name: number for number, entry in enumerate(entries)}
    return {
        name: (COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)])
        for name, number in numbers.items()
    }


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, dpi: float = 200
) -> tuple[Figure, list[list[Axes]]]:
    """A figure without a display and its axes, row by row."""
    from matplotlib import style
    from matplotlib.figure import Figure

    style.use(STYLE)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def legend_below(figure: Figure, title: str | None, columns: int = 4) -> None:
    """A legend under the axes, where it covers nothing; each label once."""
    found: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns, title=title)


def axis_label(about: pd.Series) -> str:
    """Title of a protocol, with the direction that is better."""
    return f"{about.title} {'→' if about.higher_is_better else '(lower is better)'}"


def save(figure: Figure, path: Path) -> None:
    """Write PNG or PDF, by the name's ending, in one step and without the metadata that makes equal figures differ."""
    kind = path.suffix[1:]
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None, "Creator": None}
    with written_beside(path) as beside:
        figure.savefig(beside, format=kind, dpi="figure", metadata=metadata)


class NothingToDrawError(Exception):
    """Why a figure has nothing to show, in words."""


def not_drawn(reason: str) -> Figure:
    """A figure that says why there is none."""
    drawing, axes = new_figure(DOUBLE, 0.8)
    axes[0][0].text(0.5, 0.5, f"n/a: {reason}", ha="center", va="center", fontsize=7, wrap=True)
    axes[0][0].set_axis_off()
    return drawing
