"""Whether scores, images, weights and photos belong together, by the hashes that steps keep of what they read.

Snakemake goes by the times of files, which a clock set back, a copy or a kill can turn round. What is refused here is
in no table.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256
from tvqsr.plan import EntryPlan, Plan
from tvqsr.rows import images_digest


def check_chain(
    plan: Plan, entry: EntryPlan, seed: int, testset: str, record: dict[str, Any], made_of: str | None
) -> None:
    """Raise UserError unless an entry's scores, which tell what they were `made_of`, are of what lies beside them.

    `record` is of its images. What is not there, or does not tell (a publication, an earlier version), is not asked.
    """
    scores, images = plan.paths.scores(entry.name, seed, testset), plan.paths.images_record(entry.name, seed, testset)
    if made_of not in (None, images_digest(record)):
        raise _other(scores, "images", images)
    manifest = plan.paths.manifest(testset)
    if manifest.is_file() and record.get("testset_sha256") not in (None, _digest(manifest)):
        raise _other(images, "photos", manifest)
    used = record.get("weights_sha256") or {}
    for run, path in _records(plan, entry, seed):
        if path.is_file() and run in used and read_json(path).get("weights_sha256") not in (None, used[run]):
            raise _other(images, "weights", path)
    for run, path in _records(plan, entry, seed):
        if path.is_file():
            _check_training(plan, run, seed, path)


def _check_training(plan: Plan, run: str, seed: int, path: Path) -> None:
    """Whether a training read the weights and the photos that lie there."""
    read = read_json(path).get("inputs_sha256") or {}
    manifest = plan.paths.manifest(plan.runs[run].dataset)
    if "data" in read and manifest.is_file() and read["data"] != _digest(manifest):
        raise _other(path, "photos", manifest)
    for need, needed in plan.runs[run].needs.items():
        other = plan.paths.run_record(needed.name, seed)
        if need in read and other.is_file() and read_json(other).get("weights_sha256") not in (None, read[need]):
            raise _other(path, "weights", other)


def _digest(manifest: Path) -> str:
    """Of a million photos it has 150 MB, and every training asks."""
    told = manifest.stat()
    return _digest_of(manifest, told.st_mtime_ns, told.st_size)


@cache
def _digest_of(manifest: Path, changed: int, size: int) -> str:
    return sha256(manifest)


def _records(plan: Plan, entry: EntryPlan, seed: int) -> Iterator[tuple[str, Path]]:
    for run in entry.run.lineage() if entry.run else []:
        yield run.name, plan.paths.run_record(run.name, seed)


def _other(path: Path, what: str, source: Path) -> UserError:
    return UserError(
        f"{path}: was made of other {what} than {source} tells, so that its numbers are not of what lies there; "
        f"delete {path} and run snakemake again"
    )
