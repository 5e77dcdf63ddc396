"""The loop: resume to the bit, guards, averages, interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.conftest import Command
from tvqsr.cli import main
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.preset import Runtime
from tvqsr.plan.stored import record
from tvqsr.plan.training import Training
from tvqsr.train.job import train
from tvqsr.train.loop import Fit, fit

RUNTIME = Runtime(threads=1, gpus=0, checkpoint_seconds=1e-6, progress_seconds=100)
TRAINING = Training(
    iterations=12, batch_size=2, hr_crop=32, learning_rate=0.05, betas=(0.5, 0.9), ema=0.5, schedule="cosine"
)


class Duel(Stage):
    """A small adversarial pair with batch norm, which keeps state in buffers; it fails or is interrupted when told."""

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        generator = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
        critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3))
        super().__init__({"g": generator, "d": critic}, {"generator": ("g",), "discriminator": ("d",)})
        self.at = at

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        if player == "generator":
            self.at(step)
            self.fake = self.networks["g"](batch.hr + 0.01 * torch.randn_like(batch.hr))
            return {"pixel": (self.fake - batch.hr).square().mean(), "gan": -0.1 * self.networks["d"](self.fake).mean()}
        return {"critic": self.networks["d"](self.fake.detach()).mean() - self.networks["d"](batch.hr).mean()}


@pytest.fixture
def sampler(photo_store: Path) -> CropSampler:
    return CropSampler(photo_store, TRAINING, seed=0)


def run(stage: Callable[[], Stage], sampler: CropSampler, state: Path, key: str = "k", **training: Any) -> Fit:
    varied = copy(sampler)
    varied.training = TRAINING.model_copy(update=training)
    return fit(stage, varied, seed=0, state=state, key=key, runtime=RUNTIME, label="test")


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class StopError(Exception):
    pass


def tokenizer(plan: Plan) -> str:
    """The name of vanilla VQ's first run."""
    return next(run.name for run in plan.runs.values() if (run.method.name, run.stage) == ("vq", "tokenizer"))


def stop_at(step: int) -> Callable[[int], None]:
    def act(now: int) -> None:
        if now == step:
            raise StopError

    return act


@pytest.mark.parametrize("killed_at", [1, 7, 11])
def test_a_killed_training_resumes_to_the_same_bits(sampler: CropSampler, tmp_path: Path, killed_at: int) -> None:
    whole = run(Duel, sampler, tmp_path / "whole")
    with pytest.raises(StopError):
        run(lambda: Duel(stop_at(killed_at)), sampler, tmp_path / "cut")
    steps: list[int] = []
    resumed = run(lambda: Duel(steps.append), sampler, tmp_path / "cut")
    assert steps == list(range(killed_at, 12))
    assert same(whole.weights, resumed.weights)
    assert whole.curve == resumed.curve


def test_a_checkpoint_of_other_settings_is_not_resumed(sampler: CropSampler, tmp_path: Path) -> None:
    whole = run(Duel, sampler, tmp_path / "a", key="new")
    with pytest.raises(StopError):
        run(lambda: Duel(stop_at(6)), sampler, tmp_path / "b", key="old")
    steps: list[int] = []
    again = run(lambda: Duel(steps.append), sampler, tmp_path / "b", key="new")
    assert steps[0] == 0
    assert same(whole.weights, again.weights)


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_checkpoint_is_ignored(sampler: CropSampler, tmp_path: Path, damage: bytes | None) -> None:
    whole = run(Duel, sampler, tmp_path / "a")
    with pytest.raises(StopError):
        run(lambda: Duel(stop_at(6)), sampler, tmp_path / "b")
    file = tmp_path / "b" / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:2000] if damage is None else damage)
    assert same(whole.weights, run(Duel, sampler, tmp_path / "b").weights)


def test_the_average_is_of_the_generator_alone(sampler: CropSampler, tmp_path: Path) -> None:
    """Against a plain computation: the average after each step is decay * average + (1 - decay) * weights."""
    seen: list[dict[str, Tensor]] = []
    stage: list[Duel] = []

    def build() -> Duel:
        stage.append(
            Duel(lambda _: seen.append({k: v.detach().clone() for k, v in stage[0].networks.state_dict().items()}))
        )
        return stage[0]

    result = run(build, sampler, tmp_path / "a", ema=0.8)
    after_each_step = [*seen[1:], {k: v.detach() for k, v in stage[0].networks.state_dict().items()}]
    average = after_each_step[0]["g.0.weight"]
    for weights in after_each_step[1:]:
        average = 0.8 * average + 0.2 * weights["g.0.weight"]
    assert torch.allclose(result.weights["g.0.weight"], average, atol=1e-6)
    assert torch.equal(result.weights["d.0.weight"], after_each_step[-1]["d.0.weight"])


def test_another_seed_gives_other_weights(sampler: CropSampler, tmp_path: Path) -> None:
    one = run(Duel, sampler, tmp_path / "a")
    other = fit(Duel, sampler, seed=1, state=tmp_path / "b", key="k", runtime=RUNTIME, label="test")
    assert not same(one.weights, other.weights)


def test_a_loss_that_is_not_finite_stops_the_training(sampler: CropSampler, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test: generator/\w+ is (nan|inf) at step \d+; no weights were written"):
        run(Duel, sampler, tmp_path / "a", learning_rate=1e30)


def test_the_cosine_falls_to_zero_and_constant_stays(sampler: CropSampler, tmp_path: Path) -> None:
    from tvqsr.train.loop import _set_rate

    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = []
    for step in (0, 6, 12):
        _set_rate(optimiser, 0.05, TRAINING, step)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.05, 0.025, 0.0], abs=1e-9)
    _set_rate(optimiser, 0.05, TRAINING.model_copy(update={"warmup": 8, "schedule": "constant"}), 1)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.05 * 2 / 8)


def test_the_learning_rate_is_halved_at_each_milestone() -> None:
    from tvqsr.train.loop import _set_rate

    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    training = TRAINING.model_copy(update={"schedule": "constant", "halve_at": (4, 8)})
    rates = []
    for step in (3, 4, 7, 8):
        _set_rate(optimiser, 0.4, training, step)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.4, 0.2, 0.2, 0.1])


def test_the_discriminator_may_have_a_learning_rate_of_its_own(sampler: CropSampler, tmp_path: Path) -> None:
    still = run(Duel, sampler, tmp_path / "a", discriminator_learning_rate=1e-12)
    moved = run(Duel, sampler, tmp_path / "b")
    torch.manual_seed(0)
    start = {name: value.detach().clone() for name, value in Duel().networks["d"].named_parameters()}
    for name, value in start.items():
        assert torch.allclose(still.weights[f"d.{name}"], value, atol=1e-9)
    assert any(not torch.equal(moved.weights[f"d.{name}"], value) for name, value in start.items())


def test_a_stage_sees_the_running_average_of_its_generator(sampler: CropSampler, tmp_path: Path) -> None:
    seen: list[float] = []

    class Watching(Duel):
        def losses(self, player: str, batch: Batch, step: int) -> Terms:
            if player == self.generator:
                mine = next(self.moved_by(player).parameters()).detach()
                seen.append((mine - next(self.averaged[0].parameters()).detach()).abs().max().item())
            return super().losses(player, batch, step)

    run(Watching, sampler, tmp_path / "a")
    assert seen[0] == 0 and max(seen[1:]) > 0


def test_a_run_leaves_weights_curve_and_record(tiny_plan: Plan, results: Path, tvqsr: Command) -> None:
    assert tvqsr("prepare", results, "photos_train").returncode == 0
    name = tokenizer(tiny_plan)
    train(tiny_plan, name, seed=0)
    weights = load_file(tiny_plan.paths.weights(name, 0))
    assert {key.split(".")[0] for key in weights} == {"tokenizer", "discriminator"}
    assert all(bool(value.isfinite().all()) for value in weights.values())
    curve = pd.read_csv(tiny_plan.paths.curve(name, 0))
    assert list(curve.step) == [1, 2, 3, 4]
    assert {"generator/pixel", "generator/vq", "discriminator/hinge"} < set(curve.columns)
    record = json.loads(tiny_plan.paths.run_record(name, 0).read_text())
    assert record["settings"]["codebook_size"] == 16
    assert record["images_per_second"] > 0
    assert {"git", "packages", "machine", "time"} <= set(record["made_by"])


def test_a_run_records_the_photos_that_could_not_be_read(
    preset: Callable[..., Path], photo: Path, workspace: Path, tvqsr: Command
) -> None:
    folder = workspace / "photos"
    folder.mkdir()
    photo.rename(folder / "fine.png")
    (folder / "torn.png").write_bytes((folder / "fine.png").read_bytes()[:4000])

    def of_files(content: dict[str, Any]) -> None:
        content["datasets"]["photos_train"] = {"folder": str(folder), "store": "files"}

    plan = Plan.load(str(preset(of_files)))
    write_json(plan.paths.record, record(plan))
    assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
    name = tokenizer(plan)
    train(plan, name, seed=0)
    assert read_json(plan.paths.run_record(name, 0))["photos_left_out"] == ["torn"]


@pytest.mark.slow
def test_sigterm_keeps_a_checkpoint_and_the_rerun_equals_an_undisturbed_run(
    preset: Callable[..., Path], workspace: Path
) -> None:
    path = preset(lambda p: p["training"].update(iterations=60))
    plan = Plan.load(str(path))
    name = next(r.name for r in plan.runs.values() if (r.method.name, r.stage) == ("vq", "tokenizer"))
    write_json(plan.paths.record, record(plan))
    command = [sys.executable, "-m", "tvqsr", "train", str(plan.paths.root), name]
    assert main(["prepare", str(plan.paths.root), "photos_train"]) == 0
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=workspace)
    assert process.stderr is not None
    while "/60  " not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "checkpoint kept; run the same command to go on" in rest
    assert not plan.paths.weights(name, 0).exists()
    subprocess.run(command, check=True, cwd=workspace)
    resumed = plan.paths.weights(name, 0).read_bytes()
    subprocess.run(["rm", "-r", str(plan.paths.run(name, 0))], check=True)
    subprocess.run(command, check=True, cwd=workspace)
    assert plan.paths.weights(name, 0).read_bytes() == resumed


def test_the_published_road_from_files_to_both_phases(preset: Callable[..., Path], photo: Path, tvqsr: Command) -> None:
    """Photos decoded in training, resized crops, LR degraded anew, a last phase on larger crops, bf16: all at once."""

    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_train"]["store"] = "files"
        content["train_photos"] = str(photo.parent)
        published = {"crop": "resized", "degradation": "realesrgan", "precision": "bf16-mixed"}
        content["training"] |= published | {"last_phase": {"iterations": 2, "batch_size": 1, "hr_crop": 96}}

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
    for stage in ("tokenizer", "predictor"):
        name = next(r.name for r in plan.runs.values() if (r.method.name, r.stage) == ("vq", stage))
        result = tvqsr("train", plan.paths.root, name)
        assert result.returncode == 0, result.stderr
        assert "6/6" in result.stderr
        told = json.loads(plan.paths.run_record(name, 0).read_text())
        assert told["training"]["last_phase"]["hr_crop"] == 96
        assert list(pd.read_csv(plan.paths.curve(name, 0)).step) == [1, 2, 3, 4, 5, 6]
