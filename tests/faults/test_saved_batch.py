"""The batch saved of a training that stopped is the one that the step met, and a replay does the step on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import Command
from tests.faults.spoilt import Spoil, a_term
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.store import HR_FILE
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.train.checkpoint import read_state, write_state
from tvqsr.train.failure import keep
from tvqsr.train.guard import NotFiniteError
from tvqsr.train.loop import fit

TRAINING = Training(
    iterations=1000, batch_size=4, hr_crop=32, learning_rate=1e-3, betas=(0.5, 0.9), ema=0.5, degradation="realesrgan"
)
BAD = 2
"""The step, counted from 0, whose loss is NaN: of five that are looked at together."""
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))


class Small(Stage):
    def __init__(self, met: dict[int, Batch]) -> None:
        super().__init__({"g": nn.Conv2d(3, 3, 1)}, {"generator": ("g",)})
        self.met = met

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        self.met[step] = Batch(batch.hr.cpu(), batch.lr.cpu())
        return {"pixel": self.networks["g"](batch.lr).mean() * (float("nan") if step == BAD else 1)}


@pytest.fixture
def sampler(photo_store: Path) -> CropSampler:
    return CropSampler(photo_store, TRAINING, seed=0)


def kept(error: NotFiniteError, state: Path, sampler: CropSampler, processes: int = 1) -> tuple[dict[str, str], Batch]:
    """Record and batch that are kept."""
    folder = keep(error, "run", 0, "k", state, sampler, processes)
    return read_json(folder / "failure.json"), Batch(**load_file(folder / "batch.safetensors"))


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_it_is_what_the_step_met_noise_included(device: str, sampler: CropSampler, tmp_path: Path) -> None:
    met: dict[int, Batch] = {}
    runtime = Runtime(threads=2, gpus=int(device == "cuda"), checkpoint_seconds=1e9, progress_seconds=1e9)
    with pytest.raises(NotFiniteError) as stopped:
        fit(lambda: Small(met), sampler, seed=0, state=tmp_path, key="k", runtime=runtime, label="test")
    assert max(met) > BAD, "found some steps later"
    told, batch = kept(stopped.value, tmp_path, sampler)
    assert torch.equal(batch.hr, met[BAD].hr)
    assert torch.equal(batch.lr, met[BAD].lr)
    assert not torch.equal(batch.lr, met[BAD + 1].lr)
    assert told["device"].startswith(device)
    assert told["batch"].startswith(f"as the step had it, LR made on {device}")


def stopped_on(device: str) -> NotFiniteError:
    return NotFiniteError("test", BAD + 1, exact=True, device=torch.device(device))


def test_shares_of_several_processes_make_it_whole(sampler: CropSampler, tmp_path: Path) -> None:
    _, batch = kept(stopped_on("cpu"), tmp_path, sampler, processes=2)
    assert batch.hr.shape == (4, 3, 32, 32) and batch.lr.shape == (4, 3, 8, 8)
    assert torch.equal(batch.hr, sampler.batch(BAD).hr)


def test_a_batch_that_another_device_had_to_make_says_so(sampler: CropSampler, tmp_path: Path) -> None:
    """`meta` holds no numbers, and so has no noise: it stands for a GPU that does nothing any more."""
    told, batch = kept(stopped_on("meta"), tmp_path, sampler)
    assert told["device"] == "meta"
    assert told["batch"].startswith("LR made again on the CPU, with other noise than the step's on meta (")
    assert torch.equal(batch.hr, sampler.batch(BAD).hr)


def test_photos_that_are_gone_do_not_hide_what_stopped_the_training(photo_store: Path, tmp_path: Path) -> None:
    class Gone(CropSampler):
        def batch(self, step: int) -> Batch:
            (photo_store / HR_FILE).unlink(missing_ok=True)
            return CropSampler(photo_store, TRAINING, seed=0).batch(step)

    folder = keep(stopped_on("cpu"), "run", 0, "k", tmp_path, Gone(photo_store, TRAINING, seed=0), 1)
    assert read_json(folder / "failure.json")["batch"].startswith(f"not saved: {photo_store}")
    assert not (folder / "batch.safetensors").exists()


@pytest.fixture
def stopped(spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command) -> tuple[Plan, Path]:
    """A plan, and the folder of its training that stopped at step 7, after its checkpoint of step 6."""
    plan, name = spoilt(6, a_term)
    assert tvqsr("train", plan.paths.root, name).returncode == 2
    return plan, plan.paths.run(name, 0)


def test_a_replay_takes_what_was_saved(stopped: tuple[Plan, Path], tvqsr: Command) -> None:
    _, folder = stopped
    path = folder / "state" / "failure" / "batch.safetensors"
    crops = load_file(path)
    save_file(crops | {"hr": torch.full_like(crops["hr"], 0.25)}, path)
    told = tvqsr("replay", folder)
    assert told.returncode == 0, told.stderr
    assert "HR (1, 3, 32, 32): 0.25 to 0.25" in told.stdout
    assert "that was saved (as the step had it)" in told.stdout
    path.write_bytes(path.read_bytes()[:-5])
    told = tvqsr("replay", folder)
    assert told.returncode == 2
    assert f"{path}: damaged" in told.stderr and "delete it" in told.stderr
    path.unlink()
    told = tvqsr("replay", folder)
    assert "step 7, batch of 1 made again" in told.stdout and "0.25 to 0.25" not in told.stdout


def test_a_replay_of_many_steps_comes_to_the_bad_one(stopped: tuple[Plan, Path], tvqsr: Command) -> None:
    """However long the steps before it take: here a checkpoint would be due after each."""
    _, folder = stopped
    expected = tvqsr("replay", folder).stdout
    (folder / "state" / "failure" / "checkpoint.pt").unlink()
    told = tvqsr("replay", folder)
    assert told.returncode == 0, told.stderr
    assert "step 7, batch of 1 that was saved" in told.stdout and "generator/pixel: nan" in told.stdout
    assert told.stdout == expected


def test_a_replay_without_photos_does_the_step_on_the_batch_saved(stopped: tuple[Plan, Path], tvqsr: Command) -> None:
    plan, folder = stopped
    expected = tvqsr("replay", folder).stdout
    assert "generator/pixel: nan" in expected
    shutil.rmtree(plan.paths.dataset("photos_train"))
    told = tvqsr("replay", folder)
    assert told.returncode == 0, told.stderr
    assert told.stdout == expected
    assert "the batch saved is done alone, on the weights after step 6\n" in told.stderr

    checkpoint = folder / "state" / "failure" / "checkpoint.pt"
    state = read_state(checkpoint)
    assert state
    checkpoint.unlink()
    write_state(checkpoint, state | {"step": 3})
    told = tvqsr("replay", folder)
    assert "on the weights after step 3; steps 4 to 6 are left out" in told.stderr
    assert "step 7, batch of 1 that was saved" in told.stdout and "generator/pixel: nan" in told.stdout

    checkpoint.unlink()
    told = tvqsr("replay", folder)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1 and "manifest.json: missing" in told.stderr
