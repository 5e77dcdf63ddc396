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
    verify.add_argument("--seed", type=int, help="which images those are (default: drawn, and told)")
    verify.add_argument("--json", type=Path, metavar="FILE", help="write all that was found here, too")


def _verify(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.verify.outcome import as_json, told
    from tvqsr.verify.rescored import Sample
    from tvqsr.verify.verify import verify

    if options.sample < 0:
        raise UserError(f"--sample {options.sample}: expected 0 or more")
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    outcomes = verify(options.bundle, Sample(options.sample, seed), lambda check: say(f"checking {check}"))
    if options.json:
        write_json(options.json, as_json(outcomes))
    print(f"images that networks score again: {options.sample} of every entry, drawn with --seed {seed}")
    print(told(outcomes))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise SystemExit(1)
