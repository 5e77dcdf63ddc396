"""Subcommands that read a preset."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tvqsr.commands.common import add, changes_of
from tvqsr.console import say
from tvqsr.errors import UserError

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
    parser = add(steps, "estimate", _estimate, "count what the trainings of a preset will cost, before they start")
    parser.add_argument("preset", help="name or path of a preset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=YAML", help="change a key of the preset")
    parser.add_argument(
        "--gpu", choices=("h200", "h100", "a100", "rtx4090"), default="h100", help="default: %(default)s"
    )
    parser.add_argument("--share", type=float, default=0.3, help="of its peaks that is reached (default: %(default)s)")
    parser.add_argument(
        "--tflops",
        type=float,
        help="rate measured over whole steps, taken for all operations in place of a share of a GPU's peaks",
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


def _estimate(options: argparse.Namespace) -> None:
    from tvqsr.efficiency.estimate import estimates, rates_of, told

    if not 1e-6 <= options.share <= 1:
        raise UserError(f"--share {options.share:g}: expected a share of the peak, from 1e-6 to 1")
    if options.tflops is not None and not 1e-6 <= options.tflops <= 1e9:
        raise UserError(f"--tflops {options.tflops:g}: expected the rate of a device, from 1e-6 to 1e9")
    rates, assumed = rates_of(options.gpu, options.share), f"assumed, {options.share:.0%} of the peaks of {options.gpu}"
    if options.tflops is not None:
        rates, assumed = dict.fromkeys(rates, options.tflops), "as given"
    plan = _resolved(options)
    found = []
    for estimate in estimates(plan):
        say(f"{estimate.run.name}: {sum(estimate.teraflops.values()):,.0f} TFLOP")
        found.append(estimate)
    print(told(plan, found, rates, assumed) if found else f"preset `{plan.name}` trains nothing")


def _record(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.plan.stored import record

    plan = _resolved(options)
    write_json(plan.paths.record, record(plan))
