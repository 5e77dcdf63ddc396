"""What is to be done, decided without torch or pandas.

Presets, methods' YAML, the graph of stages, digests, and every path under `results/`.
"""

from tvqsr.plan.entries import EntryPlan
from tvqsr.plan.plan import Plan
from tvqsr.plan.runs import Run

__all__ = ["EntryPlan", "Plan", "Run"]
