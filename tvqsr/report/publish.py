"""Copy what is small of a finished preset, for git.

Tables, figures, verdicts, curves and records; never weights or images.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.stored import stored_plan

SMALL = (
    "plan.json",
    "claims.csv",
    "tables/*",
    "figures/*.png",
    "runs/*/seed*/run.json",
    "runs/*/seed*/curve.csv",
    "images/*/seed*/*/run.json",
)
LIMIT_MIB = 5


def publish(results: Path, target: Path) -> int:
    """Replace `target` by the small files of a results folder; returns their number.

    Raises UserError if it is unfinished or too large.
    """
    plan = stored_plan(results)
    if not plan.paths.report.is_file():
        raise UserError(f"{results}: is not finished (no {plan.paths.report.name}); run snakemake to the end first")
    files = [file for pattern in SMALL for file in sorted(results.glob(pattern)) if not file.name.startswith(".")]
    size = sum(file.stat().st_size for file in files) / 2**20
    if size > LIMIT_MIB:
        raise UserError(
            f"{results}: its tables, figures and records take {size:.1f} MiB; "
            f"more than {LIMIT_MIB} MiB do not belong in git"
        )
    shutil.rmtree(target, ignore_errors=True)
    for file in files:
        copy = target / file.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return len(files)
