"""What subcommands share: how one is added, and how a plan is found."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.errors import UserError

if TYPE_CHECKING:
    from tvqsr.plan import Plan

Step = Callable[[argparse.Namespace], None]


def add(steps: Any, name: str, step: Step, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = steps.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.set_defaults(step=step)
    return parser


def changes_of(items: Sequence[str]) -> dict[str, Any]:
    """Values of `--set KEY=YAML`, by key."""
    import yaml

    changes = {}
    for item in items:
        key, separator, value = item.partition("=")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            separator = ""
        if not separator:
            raise UserError(f"--set {item}: expected KEY=YAML")
    return changes


def stored(folder: Path) -> Plan:
    from tvqsr.plan.stored import stored_plan

    return stored_plan(folder)
