"""Subcommand that finds the convention behind a reported score."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tvqsr.commands.common import add
from tvqsr.errors import UserError


def add_explain(steps: Any) -> None:
    explain = add(
        steps,
        "explain-score",
        _explain,
        "find the convention (channel, luma, rounding, crop) that gives reported scores",
    )
    explain.add_argument("--sr", type=Path, required=True, help="folder of the images that were scored")
    explain.add_argument("--hr", type=Path, required=True, help="folder of their references, of the same names")
    explain.add_argument(
        "--reported",
        action="append",
        required=True,
        metavar="NUMBER",
        help="as printed: a PSNR (26.85) or an SSIM (0.7569); may be given several times",
    )
    explain.add_argument(
        "--crop", type=int, action="append", help="border to try; may be given several times (default: 0 and 4)"
    )
    explain.add_argument("--json", action="store_true", help="as JSON")


def _explain(options: argparse.Namespace) -> None:
    from tvqsr.score.explain import explain, reported_of, told
    from tvqsr.score.photos import paired_by_name

    reported = [reported_of(text) for text in options.reported]
    crops = options.crop or [0, 4]
    if min(crops) < 0:
        raise UserError(f"--crop {min(crops)}: expected 0 or more")
    table = explain(paired_by_name(options.sr, options.hr), reported, list(dict.fromkeys(crops)))
    if options.json:
        sys.stdout.write(json.dumps(table.to_dict("records"), indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.write(f"{told(table, reported)}\n")
