"""Estimates against operations counted by hand, and what the command says of a preset."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.conftest import Command
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.efficiency.estimate import estimates
from tvqsr.efficiency.training import step_flops
from tvqsr.plan import Plan

MULTIPLY_ADD = 2


class Pair(Stage):
    """Two 3x3 convolutions in a row, 3 -> 8 -> 3, and a critic of one that joins in at step 5."""

    def __init__(self) -> None:
        generator = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1))
        networks = {"g": generator, "d": nn.Conv2d(3, 1, 3, padding=1)}
        super().__init__(networks, {"generator": ("g",), "discriminator": ("d",)})

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        if player == "generator":
            self.fake = self.networks["g"](batch.hr)
            return {"pixel": (self.fake - batch.hr).square().mean()}
        return {"critic": self.networks["d"](self.fake.detach()).mean()} if step >= 5 else {}


def conv(channels: int, out: int) -> int:
    """Of a 3x3 convolution at 16 x 16 for a batch of 2."""
    return 2 * 16 * 16 * 9 * channels * out * MULTIPLY_ADD


def test_operations_are_those_counted_by_hand() -> None:
    # Forward and the weights' gradient of the first layer, whose input needs none; the second's input needs one, too.
    generator = 2 * conv(3, 8) + 3 * conv(8, 3)
    assert step_flops(Pair(), batch_size=2, hr_crop=16, step=0) == generator
    assert step_flops(Pair(), batch_size=2, hr_crop=16, step=5) == generator + 2 * conv(3, 1)


def test_counting_leaves_a_stage_as_it_was() -> None:
    stage = Pair()
    step_flops(stage, 2, 16, 5)
    assert all(parameter.grad is None for parameter in stage.parameters())


def test_an_estimate_grows_with_steps_crops_and_seeds(preset: Callable[..., Path]) -> None:
    def plan(**training: Any) -> Plan:
        def change(content: dict[str, Any]) -> None:
            content["training"].update(training)
            content["entries"] = {"vq_rec": content["entries"]["vq_rec"]}

        return Plan.load(str(preset(change)))

    (short,), (long,) = (list(estimates(plan(iterations=count))) for count in (4, 40))
    assert long.teraflops == pytest.approx(10 * short.teraflops)
    assert long.hours(2.0) == pytest.approx(long.teraflops / 2 / 3600)
    last = {"iterations": 4, "batch_size": 4, "hr_crop": 64}
    (phased,) = estimates(plan(iterations=4, last_phase=last))
    assert phased.teraflops == pytest.approx(3 * short.teraflops, rel=1e-3)
    assert phased.memory_mib > short.memory_mib


def test_the_command_tells_each_training_and_the_sum(preset: Callable[..., Path], tvqsr: Command) -> None:
    path = preset(lambda content: content.update(seeds=[0, 1], entries={"vq": content["entries"]["vq"]}))
    told = tvqsr("estimate", path, "--tflops", "1e-6")
    assert told.returncode == 0, told.stderr
    rows = re.findall(r"^(vq\.\w+)-\w+ .* (\S+) +2$", told.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["vq.tokenizer", "vq.predictor"]
    total = re.search(r"^(\S+) hours of one device for all trainings and seeds", told.stdout, re.MULTILINE)
    assert total
    assert float(total[1].replace(",", "")) == pytest.approx(2 * sum(float(hours) for _, hours in rows), rel=0.02)
    assert "as given" in told.stdout


@pytest.mark.parametrize("option", ["--share", "--tflops"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e400", "1e-320"])
def test_a_rate_that_is_none_is_refused(option: str, value: str, preset: Callable[..., Path], tvqsr: Command) -> None:
    refused = tvqsr("estimate", preset(), option, value)
    assert refused.returncode == 2
    assert f"{option} {float(value):g}: expected " in refused.stderr


def test_a_preset_without_trainings_says_so(preset: Callable[..., Path], tvqsr: Command) -> None:
    path = preset(lambda content: content.update(entries={"bicubic": content["entries"]["bicubic"]}))
    told = tvqsr("estimate", path)
    assert told.returncode == 0
    assert "trains nothing" in told.stdout
