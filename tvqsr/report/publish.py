"""Copy what is small of a finished preset, for git.

Tables, figures, verdicts, curves, records and, where they fit, scores; never weights or images.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.paths import PLAN_FILE
from tvqsr.plan.stored import stored_plan
from tvqsr.report.tables import KINDS

LIMIT_MIB = 5


def publish(results: Path, target: Path) -> int:
    """Replace `target` by the small files of a results folder; returns their number.

    Raises UserError if the results are unfinished or too large, or if `target` is anything but an earlier publication.
    """
    plan = stored_plan(results)
    if not plan.paths.report.is_file():
        raise UserError(f"{results}: is not finished (no {plan.paths.report.name}); run snakemake to the end first")
    _check_target(results.resolve(), target.resolve())
    files = [file for file in small_files(plan) if file.is_file()]
    # With its scores, `tvqsr verify` makes the tables and verdicts of a publication again.
    scores = [file for file in score_files(plan) if file.is_file()]
    if _mib([*files, *scores]) <= LIMIT_MIB:
        files += scores
    if (size := _mib(files)) > LIMIT_MIB:
        raise UserError(f"{results}: its small files take {size:.1f} MiB; over {LIMIT_MIB} MiB do not belong in git")
    shutil.rmtree(target, ignore_errors=True)
    for file in files:
        copy = target / file.relative_to(plan.paths.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return len(files)


def small_files(plan: Plan) -> Iterator[Path]:
    """Tables, figures, verdicts, curves and records of the plan's own runs and entries."""
    paths = plan.paths
    yield from (paths.record, paths.claims)
    yield paths.bibliography
    for table, kind in itertools.product(plan.tables, KINDS):
        yield from (paths.table(table, testset, kind) for testset in plan.table_sets(table))
    yield from (paths.figure(name, "png") for name in plan.figures)
    if plan.preset.efficiency:
        yield from (paths.efficiency_table(kind) for kind in ("csv", "md", "tex"))
        yield from (paths.efficiency(entry) for entry in plan.entries)
    for run, seed in plan.made():
        yield from (paths.run_record(run, seed), paths.curve(run, seed))
    for entry, seed, testset in _made(plan):
        yield paths.images_record(entry, seed, testset)


def score_files(plan: Plan) -> Iterator[Path]:
    """Scores of the plan's own entries."""
    for entry, seed, testset in _made(plan):
        yield plan.paths.scores(entry, seed, testset)


def _made(plan: Plan) -> Iterator[tuple[str, int, str]]:
    for entry in plan.entries.values():
        for seed, testset in itertools.product(entry.seeds, plan.test_sets(entry.name)):
            yield entry.name, seed, testset


def _mib(files: list[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 2**20


def _check_target(results: Path, target: Path) -> None:
    if target == results or target in results.parents or results in target.parents:
        raise UserError(f"{target}: lies in, is or holds the results themselves; choose another folder")
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / PLAN_FILE).is_file()):
        raise UserError(
            f"{target}: is no earlier publication (no {PLAN_FILE}) and would be lost; choose another folder"
        )
