"""Subcommands that read a preset."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tvqsr.commands.common import add, changes_of

if TYPE_CHECKING:
    from tvqsr.plan import Plan


def add_planning(steps: Any) -> None:
    """Steps that read a preset."""
    for name, step, summary in (
        ("plan", _plan, "list the runs and entries of a preset"),
        ("record", _record, "resolve a preset and write the plan into its results folder"),
    ):
        parser = add(steps, name, step, summary)
        parser.add_argument("--preset", required=True, help="name or path of a preset")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=YAML", help="change a top-level key of the preset"
        )


def _resolved(options: argparse.Namespace) -> Plan:
    from tvqsr.plan import Plan

    return Plan.load(options.preset, changes_of(options.set))


def _plan(options: argparse.Namespace) -> None:
    plan = _resolved(options)
    for run in plan.runs.values():
        trained = f"{run.training.steps} iterations on {run.dataset}, seeds {list(plan.preset.seeds)}"
        budget = "the authors' weights" if run.released else trained
        print(f"run    {run.name}  {budget}")
    for entry in plan.entries.values():
        made_with = entry.run.name if entry.run else entry.given or "nothing to train"
        print(f"entry  {entry.name}  {entry.title}, {made_with}")


def _record(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.plan.stored import record

    plan = _resolved(options)
    write_json(plan.paths.record, record(plan))
