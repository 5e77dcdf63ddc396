"""What is kept of a training that met a number that is not finite, so that the step can be done again and looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.feed import batches
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json, written_beside
from tvqsr.train.guard import NotFiniteError

FOLDER, RECORD, CHECKPOINT, BATCH = "failure", "failure.json", "checkpoint.pt", "batch.safetensors"


@dataclass(frozen=True)
class Failure:
    """A training that stopped: which, at which step, counted from 1, and under which key its checkpoint was written.

    `exact` is whether that step is known to be the first bad one; else it is the last of those that it may be. `device`
    is what it was trained on, and `batch` tells how the batch saved was made, or why there is none.
    """

    run: str
    seed: int
    key: str
    step: int
    exact: bool
    message: str
    device: str
    batch: str


def keep(
    error: NotFiniteError, run: str, seed: int, key: str, state: Path, sampler: CropSampler, processes: int
) -> Path:
    """Keep the last good checkpoint, if there is one yet, and the step's batch beside the record; returns the folder.

    The random state is in the checkpoint. A batch is a function of seed, step, device and number of processes: it is
    made again from these, so that a training need not hold all batches since it last looked at its losses.
    """
    folder = state / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checkpoint = state / CHECKPOINT
    if checkpoint.is_file():
        # Checkpoints are replaced as a whole, so that a second name keeps this one at no cost.
        _link(checkpoint, folder / CHECKPOINT)
    batch, how = _batch(sampler, error.step - 1, error.device, processes)
    if batch:
        with written_beside(folder / BATCH) as beside:
            beside.write_bytes(save({name: crops.cpu().contiguous() for name, crops in batch._asdict().items()}))
    told = asdict(Failure(run, seed, key, error.step, error.exact, str(error), device_name(error.device), how))
    write_json(folder / RECORD, told)
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


def device_name(device: torch.device) -> str:
    """Of a GPU with its model, on which the numbers depend."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _read(path: Path) -> Failure | None:
    """A record; None if it is of another version."""
    content: dict[str, Any] = read_json(path)
    try:
        return Failure(**content)
    except TypeError:
        return None


def saved_batch(run_folder: Path) -> Batch | None:
    """The batch that was saved of a run that stopped, on the CPU; None if there is none.

    Raises UserError if it is damaged.
    """
    path = run_folder / "state" / FOLDER / BATCH
    try:
        return Batch(**load_file(path)) if path.is_file() else None
    except (SafetensorError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, and the batch is made again") from None


def forget(state: Path) -> None:
    """Remove what was kept, once the training is finished."""
    shutil.rmtree(state / FOLDER, ignore_errors=True)


def _batch(sampler: CropSampler, step: int, device: torch.device, processes: int) -> tuple[Batch | None, str]:
    """The whole batch of a step, counted from 0, share by share as its processes had it; and how it was made."""
    cpu = torch.device("cpu")
    try:
        if not sampler.makes_lr:
            return _whole(sampler, step, cpu, processes), "as the step had it"
        try:
            return _whole(sampler, step, device, processes), f"as the step had it, LR made on {device_name(device)}"
        except RuntimeError as error:
            if device == cpu:
                raise
            reason = str(error).partition("\n")[0]
            how = f"LR made again on the CPU, with other noise than the step's on {device_name(device)} ({reason})"
            return _whole(sampler, step, cpu, processes), how
    except UserError as error:
        return None, f"not saved: {error}"


def _whole(sampler: CropSampler, step: int, device: torch.device, processes: int) -> Batch:
    shares = [next(batches(sampler.of(share, processes), step, device, workers=0)) for share in range(processes)]
    return Batch(*(torch.cat(crops) for crops in zip(*shares, strict=True)))


def _link(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)
