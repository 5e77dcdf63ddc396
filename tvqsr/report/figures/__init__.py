"""The figures, a module for each kind.

Each has a function of its numbers, which the page's interactive plots show, too, and `figure`, which draws them.
"""

from __future__ import annotations

import importlib

from matplotlib.figure import Figure

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.schema import suggestion
from tvqsr.report.style import NothingToDrawError, not_drawn, save


def draw(plan: Plan, name: str) -> None:
    """Draw one figure of the plan as PNG and PDF. Raises UserError for an unknown name."""
    if name not in plan.figures:
        raise UserError(f"unknown figure `{name}` of preset `{plan.name}`{suggestion(name, plan.figures)}")
    drawing = _figure(plan, name)
    for kind in ("png", "pdf"):
        save(drawing, plan.paths.figure(name, kind))


def _figure(plan: Plan, name: str) -> Figure:
    """A figure of its entries on its test set; one that cannot be drawn says why."""
    testset = plan.figure_set(name)
    if not plan.figure_entries(name):
        return not_drawn(f"this preset has no table `{name}`")
    if testset is None:
        return not_drawn("no entry of this figure has images of a test set with HR")
    entries = [entry for entry in plan.figure_entries(name) if testset in plan.test_sets(entry.name)]
    module = importlib.import_module(f"tvqsr.report.figures.{name.partition('.')[0]}")
    try:
        return module.figure(plan, entries, testset)
    except NothingToDrawError as reason:
        return not_drawn(str(reason))
