"""What is kept of a training that met a number that is not finite, so that the step can be done again and looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.feed import batches
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json, written_beside
from tvqsr.train.guard import NotFiniteError

FOLDER, RECORD, CHECKPOINT, BATCH = "failure", "failure.json", "checkpoint.pt", "batch.safetensors"


@dataclass(frozen=True)
class Failure:
    """A training that stopped: which, at which step, counted from 1, and under which key its checkpoint was written.

    `exact` is whether that step is known to be the first bad one; else it is the last of those that it may be.
    """

    run: str
    seed: int
    key: str
    step: int
    exact: bool
    message: str


def keep(failure: Failure, state: Path, sampler: CropSampler) -> Path:
    """Keep the last good checkpoint, if there is one yet, and the step's batch beside the record; returns the folder.

    The random state is in the checkpoint; batches are a function of seed and step.
    """
    folder = state / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checkpoint = state / CHECKPOINT
    if checkpoint.is_file():
        # Checkpoints are replaced as a whole, so that a second name keeps this one at no cost.
        _link(checkpoint, folder / CHECKPOINT)
    with written_beside(folder / BATCH) as beside:
        beside.write_bytes(
            save({name: crops.contiguous() for name, crops in _batch(sampler, failure.step - 1).items()})
        )
    write_json(folder / RECORD, asdict(failure))
    return folder


def read_failure(run_folder: Path) -> Failure:
    """What was kept of a run that stopped. Raises UserError if nothing was."""
    path = run_folder / "state" / FOLDER / RECORD
    if not path.is_file():
        raise UserError(f"{run_folder}: no step to replay; give the folder of a training that met a value not finite")
    if failure := _read(path):
        return failure
    raise UserError(f"{path}: is of another version of tvqsr; train again")


def refuse_again(run_folder: Path, key: Callable[[], str]) -> None:
    """Raise UserError if this very training, by its key, stopped before: done again, it would stop again.

    A cluster runs a failed job again and again, each time on a GPU from the last checkpoint on. `key`, which reads
    files, is called only where something was kept; if one is missing, that is for the training to tell.
    """
    folder = run_folder / "state" / FOLDER
    failure = _read(folder / RECORD) if (folder / RECORD).is_file() else None
    try:
        same = failure is not None and failure.key == key()
    except FileNotFoundError:
        return
    if failure and same:
        raise UserError(
            f"{failure.message}; code, settings and inputs are the same since, so it is not tried again: "
            f"`tvqsr replay {run_folder}` does that step and tells more; to go on from the last checkpoint all the "
            f"same, delete {folder}"
        )


def _read(path: Path) -> Failure | None:
    """A record; None if it is of another version."""
    content: dict[str, Any] = read_json(path)
    try:
        return Failure(**content)
    except TypeError:
        return None


def of(error: NotFiniteError, run: str, seed: int, key: str) -> Failure:
    return Failure(run, seed, key, error.step, error.exact, str(error))


def forget(state: Path) -> None:
    """Remove what was kept, once the training is finished."""
    shutil.rmtree(state / FOLDER, ignore_errors=True)


def _batch(sampler: CropSampler, step: int) -> dict[str, torch.Tensor]:
    batch: Batch = next(batches(sampler, step, torch.device("cpu"), workers=0))
    return {"hr": batch.hr, "lr": batch.lr}


def _link(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)
