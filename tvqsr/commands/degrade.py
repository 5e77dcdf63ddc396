"""Subcommand that makes LR of a folder of photos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast, get_args

from tvqsr.commands.common import add
from tvqsr.console import say
from tvqsr.errors import UserError
from tvqsr.gpus import leased_gpus
from tvqsr.plan.degradation import Degradation
from tvqsr.plan.schema import suggestion
from tvqsr.shortage import told_out_of_memory

NAMES = get_args(Degradation)


def add_degrade(steps: Any) -> None:
    degrade = add(steps, "degrade", _degrade, "make LR of a folder of photos, by bicubic or a published degradation")
    degrade.add_argument("name", metavar="NAME", help=", ".join(NAMES))
    degrade.add_argument("hr", type=Path, metavar="HR_DIR", help="photos; those in folders inside it count, too")
    degrade.add_argument("lr", type=Path, metavar="LR_DIR", help="a new folder, or one that this command has filled")
    degrade.add_argument("--scale", type=int, default=4, help="HR's sides over LR's (default: %(default)s)")
    degrade.add_argument("--seed", type=int, default=0, help="of what is random (default: %(default)s)")
    degrade.add_argument("--multiple", type=int, help="HR is cut to multiples of this first (default: the scale)")
    degrade.add_argument(
        "--device", default="cpu", help="cpu or cuda, whose noise is another (default: %(default)s); bicubic needs none"
    )


def _degrade(options: argparse.Namespace) -> None:
    if options.name not in NAMES:
        raise UserError(f"unknown degradation `{options.name}`{suggestion(options.name, NAMES)}")
    from tvqsr.data.degrade_folder import Way, degrade_folder
    from tvqsr.efficiency.advice import for_photo

    multiple = options.scale if options.multiple is None else options.multiple
    way = Way(cast("Degradation", options.name), options.scale, options.seed, multiple, options.device)
    with leased_gpus(1 if way.on_gpu else 0), told_out_of_memory(for_photo):
        degrade_folder(way, options.hr, options.lr, lambda line: say(f"[{options.name}] {line}"))
