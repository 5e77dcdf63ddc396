"""The figures, a module each."""

from __future__ import annotations

import importlib

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.plan import FIGURES
from tvqsr.report.style import save


def draw(plan: Plan, name: str) -> None:
    """Draw one figure of `FIGURES` into `figures/<name>.png`. Raises UserError for an unknown name."""
    if name not in FIGURES:
        raise UserError(f"unknown figure `{name}`; known: {', '.join(FIGURES)}")
    module = importlib.import_module(f"tvqsr.report.figures.{name}")
    save(module.figure(plan), plan.paths.figure(name))
