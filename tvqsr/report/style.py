"""One look for all figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tvqsr.files import written_beside
from tvqsr.plan import EntryPlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which remain distinct for colour-blind readers; markers tell entries apart beyond eight.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def looks_of(entries: Sequence[EntryPlan]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each entry of a figure, by its place in it: no two alike, up to 64 entries."""
    numbers = {entry.name: number for number, entry in enumerate(entries)}
    return {
        name: (COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)])
        for name, number in numbers.items()
    }


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, dpi: int = 150
) -> tuple[Figure, list[list[Axes]]]:
    """A figure without a display and its axes, row by row."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}
    )
    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def save(figure: Figure, path: Path) -> None:
    """Write a PNG in one step, without the metadata that would make equal figures differ."""
    with written_beside(path) as beside:
        figure.savefig(beside, format="png", dpi="figure", metadata={"Software": None})


class NothingToDrawError(Exception):
    """Why a figure has nothing to show, in words."""


def not_drawn(reason: str) -> Figure:
    """A figure that says why there is none."""
    drawing, axes = new_figure(6, 1.2)
    axes[0][0].text(0.5, 0.5, f"n/a: {reason}", ha="center", va="center")
    axes[0][0].set_axis_off()
    return drawing
