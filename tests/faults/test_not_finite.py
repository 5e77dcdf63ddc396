"""NaN and infinity in losses and weights: the training stops, keeps what a replay needs, and writes neither."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.conftest import Command
from tests.faults.spoilt import Spoil, a_term
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.plugins import load_plugin
from tvqsr.report.figures.curves import _diverges, smoothed
from tvqsr.report.page.records import _run_row
from tvqsr.train.divergence import COLUMN, Divergence, first_divergence
from tvqsr.train.guard import NotFiniteError
from tvqsr.train.loop import fit

WEIGHT = "tokenizer.encoder.0.weight"
STEPS = 1000
"""Losses are logged at every fifth: a step between is seen by what the guard keeps alone."""
TRAINING = Training(
    iterations=STEPS, batch_size=1, hr_crop=8, learning_rate=1e-3, betas=(0.5, 0.9), ema=0.5, schedule="constant"
)


class Small(Stage):
    """One layer; `spoil` changes its losses, its weights or what belongs to them, when a step says so."""

    def __init__(self, spoil: Callable[[Small, int, Terms], None]) -> None:
        network = nn.Conv2d(3, 3, 1)
        network.register_buffer("seen", torch.zeros(2))
        super().__init__({"g": network}, {"generator": ("g",)})
        self.spoil = spoil

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        made = self.networks["g"](batch.hr)
        terms = {"pixel": (made - batch.hr).abs().mean(), "other": made.square().mean()}
        self.spoil(self, step, terms)
        return terms


@pytest.fixture
def sampler(photo_store: Path) -> CropSampler:
    return CropSampler(photo_store, TRAINING, seed=0)


def run(sampler: CropSampler, state: Path, spoil: Callable[[Small, int, Terms], None], every: float = 1e9) -> None:
    runtime = Runtime(threads=1, gpus=0, checkpoint_seconds=every, progress_seconds=1e9)
    fit(lambda: Small(spoil), sampler, seed=0, state=state, key="k", runtime=runtime, label="test")


def a_loss(stage: Small, step: int, terms: Terms) -> None:
    if step == 22:
        terms["other"] = terms["other"] * float("inf")


def test_a_loss_between_two_logged_steps_is_named_with_its_step(sampler: CropSampler, tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match=r"^test: generator/other is inf at step 23; no weights were written") as e:
        run(sampler, tmp_path / "state", a_loss)
    assert (e.value.step, e.value.exact) == (23, True)
    assert not list((tmp_path / "state").glob("*"))


def test_a_loss_that_mends_itself_is_told_all_the_same(sampler: CropSampler, tmp_path: Path) -> None:
    def detached(stage: Small, step: int, terms: Terms) -> None:
        if step == 21:
            # Without a gradient, the weights stay as they are.
            terms["odd"] = torch.tensor(float("nan"))

    with pytest.raises(NotFiniteError, match=r"generator/odd is nan at step 22;"):
        run(sampler, tmp_path / "state", detached)


def in_weights(stage: Small, step: int, terms: Terms) -> None:
    """In a buffer, say, that no loss looks at."""
    if step == 22:
        stage.networks["g"].get_buffer("seen").fill_(float("nan"))


def in_moments(stage: Small, step: int, terms: Terms) -> None:
    """A square that overflows: Adam then stands still, and nothing else tells."""
    if step == 22:
        terms["other"] = terms["other"] * 1e25


@pytest.mark.parametrize(
    ("spoil", "named"), [(in_weights, "networks.g.seen"), (in_moments, "optimisers.generator.state.0.exp_avg_sq")]
)
def test_what_no_loss_shows_is_seen_before_it_is_kept(
    sampler: CropSampler, tmp_path: Path, spoil: Callable[[Small, int, Terms], None], named: str
) -> None:
    with pytest.raises(NotFiniteError, match=rf"test: {named} is not finite after step 23;"):
        run(sampler, tmp_path / "state", spoil, every=1e-9)
    kept = torch.load(_content(tmp_path / "state" / "checkpoint.pt"), weights_only=True)
    assert kept["step"] == 22
    assert all(bool(value.isfinite().all()) for value in kept["networks"].values())


def _content(checkpoint: Path) -> Any:
    return io.BytesIO(checkpoint.read_bytes()[32:])


def weight(stage: Stage) -> torch.Tensor:
    return dict(stage.networks.named_parameters())[WEIGHT].data


def before_the_losses(stage: Stage, compute: Callable[[], Terms]) -> Terms:
    weight(stage)[0, 0, 0, 0] = float("inf")
    return compute()


def after_the_losses(stage: Stage, compute: Callable[[], Terms]) -> Terms:
    terms = compute()
    weight(stage)[0, 0, 0, 0] = float("inf")
    return terms


def test_the_bad_step_is_done_again_and_told(spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command) -> None:
    plan, name = spoilt(6, a_term)
    stopped = tvqsr("train", plan.paths.root, name)
    folder = plan.paths.run(name, 0)
    assert stopped.returncode == 2
    assert "generator/pixel is nan at step 7; no weights were written" in stopped.stderr
    assert f"`tvqsr replay {folder}` does that step again" in stopped.stderr
    assert not plan.paths.weights(name, 0).exists()
    kept = folder / "state" / "failure"
    assert read_json(kept / "failure.json")["step"] == 7
    sampler = CropSampler(plan.paths.dataset("photos_train"), plan.runs[name].training, 0, with_lr=False)
    assert torch.equal(load_file(kept / "batch.safetensors")["hr"], sampler.batch(6).hr)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = tvqsr("replay", folder)
    assert told.returncode == 0, told.stderr
    assert "resuming at 6/16" in told.stderr
    assert "step 7, batch of 1 that was saved (as the step had it)" in told.stdout
    assert "generator/pixel: nan" in told.stdout
    assert "generator: gradient norm of tokenizer nan" in told.stdout
    assert "first gradient that is not finite" in told.stdout
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_module_where_it_came_up_is_named(spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command) -> None:
    plan, name = spoilt(5, before_the_losses)
    assert tvqsr("train", plan.paths.root, name).returncode == 2
    told = tvqsr("replay", plan.paths.run(name, 0)).stdout
    module = re.escape(WEIGHT.removesuffix(".weight"))
    assert re.search(rf"first value that is not finite .*: output of `networks\.{module}` \(Conv2d\)", told)
    assert "from finite inputs; its weight weight is not finite" in told


def test_a_weight_that_no_loss_shows_yet_is_named(
    spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command
) -> None:
    plan, name = spoilt(5, after_the_losses)
    stopped = tvqsr("train", plan.paths.root, name)
    assert stopped.returncode == 2
    assert "is not finite after step 6; no weights were written" in stopped.stderr
    told = tvqsr("replay", plan.paths.run(name, 0)).stdout
    assert f"after the step, first tensor that is not finite: networks.{WEIGHT}" in told


def test_the_same_training_is_not_tried_again(
    spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cluster does, that runs a failed job again and again; until what was kept is deleted, as it is told to."""
    plan, name = spoilt(6, a_term)
    folder = plan.paths.run(name, 0)
    assert tvqsr("train", plan.paths.root, name).returncode == 2
    # That a finite loss would be met now shows that none is computed.
    monkeypatch.setattr("tvqsr.train.job.load_plugin", load_plugin)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.delattr("tvqsr.train.job.CropSampler")
        again = tvqsr("train", plan.paths.root, name)
    assert again.returncode == 2
    line = again.stderr.splitlines()[-1]
    assert "generator/pixel is nan at step 7;" in line
    assert "is not tried again" in line
    assert f"`tvqsr replay {folder}`" in line
    told = re.search(r"delete (\S+)$", line)
    assert told
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    shutil.rmtree(told[1])
    done = tvqsr("train", plan.paths.root, name)
    assert done.returncode == 0, done.stderr
    assert "resuming at 6/16" in done.stderr


def test_a_changed_training_is_tried_and_forgets_what_was_kept(
    spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, name = spoilt(6, a_term)
    folder = plan.paths.run(name, 0)
    assert tvqsr("train", plan.paths.root, name).returncode == 2
    # Its code changed, and mends it.
    monkeypatch.setattr("tvqsr.train.job.load_plugin", load_plugin)
    monkeypatch.setattr(Plan, "train_key", lambda *_: "of other code")
    done = tvqsr("train", plan.paths.root, name)
    assert done.returncode == 0, done.stderr
    assert "starting afresh" in done.stderr
    assert not (folder / "state" / "failure").exists()
    assert tvqsr("replay", folder).returncode == 2


def test_nothing_to_replay_is_one_line(results: Path, tiny_plan: Plan, tvqsr: Command) -> None:
    folder = tiny_plan.paths.run(next(iter(tiny_plan.runs)), 0)
    folder.mkdir(parents=True)
    for given, why in ((folder, "no step to replay"), (results, "expected the folder of a training")):
        result = tvqsr("replay", given)
        assert result.returncode == 2
        assert why in result.stderr
        assert result.stderr.count("\n") == 1


def rows(values: list[float]) -> list[dict[str, float]]:
    return [{"step": float(n), "discriminator/hinge": value, "generator/pixel": 0.1} for n, value in enumerate(values)]


def marked(values: list[float]) -> list[dict[str, float]]:
    made = rows(values)
    watch = Divergence("test", [])
    for row in made:
        watch.mark(row)
    return made


def test_a_term_beyond_all_measure_is_told_once_and_marked(capsys: pytest.CaptureFixture[str]) -> None:
    curve = marked([2.0] * 20 + [199.0, 201.0, 900.0])
    assert [row.get(COLUMN) for row in curve[19:]] == [None, None, 100.5, 450.0]
    assert first_divergence(curve) == {"step": 21.0, "times": 100.5, "logged": 2}
    said = capsys.readouterr().err
    assert said.count("discriminator/hinge is 201 at step 21, 100 times as much as is usual") == 1
    assert said.count("\n") == 1
    # Gone on with from a checkpoint: neither forgotten nor told again.
    Divergence("test", curve).mark(rows([900.0])[0])
    assert capsys.readouterr().err == ""


def test_a_discriminator_that_wins_is_no_divergence() -> None:
    assert first_divergence(marked([2.0] * 12 + [1e-6] * 50 + [2.0])) is None
    assert first_divergence(marked([2.0] * 5 + [1e6])) is None


def test_a_divergence_is_in_curve_record_and_page(
    spoilt: Callable[[int, Spoil], tuple[Plan, str]], tvqsr: Command
) -> None:
    plan, name = spoilt(12, lambda _, compute: compute() | {"burst": torch.tensor(1e5)})
    done = tvqsr("train", plan.paths.root, name)
    assert done.returncode == 0, done.stderr
    assert "generator/burst is 1e+05 at step 13" in done.stderr and "the training diverges" in done.stderr
    curve = pd.read_csv(plan.paths.curve(name, 0))
    assert list(curve.step[curve[COLUMN].notna()]) == [13]
    assert read_json(plan.paths.run_record(name, 0))["diverging"]["step"] == 13

    assert "; diverges at step 13, a loss " in _run_row(plan, name, 0)["iterations"]
    assert COLUMN not in smoothed(plan, name, 0)
    assert _diverges(plan, plan.runs[name]) == "\nseed 0 diverges"
