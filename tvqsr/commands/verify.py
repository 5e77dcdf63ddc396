"""Subcommand that checks somebody's results."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import Any

from tvqsr.commands.common import add
from tvqsr.console import say
from tvqsr.errors import UserError


def add_verify(steps: Any) -> None:
    summary = "check somebody's results: hashes, images, seeds, scores, tables, verdicts; exit code 1 if wrong"
    verify = add(steps, "verify", _verify, summary)
    verify.add_argument("bundle", type=Path, help="their results/<preset>, or a zip or tar of it; nothing in it is run")
    verify.add_argument(
        "--sample",
        type=int,
        default=2,
        metavar="N",
        help="images of every entry to score again by networks (default: %(default)s); by formulas, all are",
    )
    verify.add_argument(
        "--remake",
        type=int,
        default=1,
        metavar="N",
        help="images of every entry, seed and test set to make again with the bundle's weights (default: %(default)s)",
    )
    verify.add_argument(
        "--seconds", type=float, default=120.0, metavar="S", help="most time for that (default: %(default)g)"
    )
    verify.add_argument("--seed", type=int, help="which images those are (default: drawn, and told)")
    verify.add_argument("--json", type=Path, metavar="FILE", help="write all that was found here, too")


def _verify(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.verify.outcome import as_json, told
    from tvqsr.verify.sample import Sample
    from tvqsr.verify.verify import verify

    for name in ("sample", "remake"):
        if getattr(options, name) < 0:
            raise UserError(f"--{name} {getattr(options, name)}: expected 0 or more")
    if not options.seconds > 0:
        raise UserError(f"--seconds {options.seconds:g}: expected more than 0")
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    sample = Sample(options.sample, seed, options.remake, options.seconds)
    outcomes = verify(options.bundle, sample, lambda check: say(f"checking {check}"))
    if options.json:
        write_json(options.json, as_json(outcomes))
    print(
        f"images of every entry, drawn with --seed {seed}: {options.sample} scored again, {options.remake} made again"
    )
    print(told(outcomes))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise SystemExit(1)
