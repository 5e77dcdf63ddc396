"""Estimates against operations counted by hand, and what the command says of a preset."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.conftest import Command
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.efficiency.estimate import estimates
from tvqsr.efficiency.training import step_flops
from tvqsr.nn.linear import Linear
from tvqsr.nn.nearest import nearest_code
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


class Mixed(Stage):
    """A convolution, a linear layer, attention with a bias that learns, nearest codes; a convolution judges in fp32."""

    def __init__(self) -> None:
        networks = {"conv": nn.Conv2d(3, 64, 3, padding=1), "linear": Linear(64, 64), "bias": nn.Linear(256, 256)}
        super().__init__(networks, {"generator": ("conv", "linear", "bias")})
        self.judge, self.codes = torch.zeros(1, 64, 3, 3), torch.zeros(8, 64)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        conv, linear, bias = self.networks.values()
        tokens = linear(conv(batch.hr).flatten(2).transpose(1, 2)).unsqueeze(1)
        mask = bias.get_parameter("weight").to(tokens.dtype)
        seen = F.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=mask)
        nearest_code(seen.reshape(-1, 64), self.codes)
        with torch.autocast("cpu", enabled=False):
            return {"judged": F.conv2d(seen.float().reshape(2, 64, 16, 16), self.judge, padding=1).mean()}


def conv(channels: int, out: int) -> int:
    """Of a 3x3 convolution at 16 x 16 for a batch of 2."""
    return 9 * product(channels, out)


def product(channels: int, out: int, rows: int = 2 * 16 * 16) -> int:
    return rows * channels * out * MULTIPLY_ADD


def test_operations_are_those_counted_by_hand() -> None:
    # Forward and the weights' gradient of the first layer, whose input needs none; the second's input needs one, too.
    generator = 2 * conv(3, 8) + 3 * conv(8, 3)
    assert step_flops(Pair(), batch_size=2, hr_crop=16, step=0).total() == generator
    assert step_flops(Pair(), batch_size=2, hr_crop=16, step=5).total() == generator + 2 * conv(3, 1)


def test_operations_go_by_the_rate_that_a_gpu_has_for_them() -> None:
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed(), torch.get_float32_matmul_precision()
    convolution, judge = 2 * conv(3, 64), 2 * conv(64, 1)
    # Two products forward and four backward, each of 256 x 256 x 64 for either image.
    attention = 6 * product(256, 64)
    products = 3 * product(64, 64) + attention
    # All 512 vectors in fp32, one in 64 again in float64.
    nearest = product(64, 8) + product(64, 8, rows=8)
    assert {precision: step_flops(Mixed(), 2, 16, 0, precision) for precision in ("32-true", "tf32", "bf16-mixed")} == {
        "32-true": {"tf32": convolution + judge, "fp32": products + nearest},
        "tf32": {"tf32": convolution + judge + products, "fp32": nearest},
        "bf16-mixed": {"bf16": convolution + products, "tf32": judge, "fp32": nearest},
    }
    assert (torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed(), torch.get_float32_matmul_precision()) == before


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
    assert set(long.teraflops) == {"fp32", "tf32"}
    assert long.teraflops == pytest.approx({rate: 10 * count for rate, count in short.teraflops.items()})
    slow, quick = long.teraflops["fp32"] / 2, long.teraflops["tf32"] / 8
    assert long.hours({"fp32": 2.0, "tf32": 8.0}) == pytest.approx((slow + quick) / 3600)
    last = {"iterations": 4, "batch_size": 4, "hr_crop": 64}
    (phased,) = estimates(plan(iterations=4, last_phase=last))
    thrice = {rate: 3 * count for rate, count in short.teraflops.items()}
    assert phased.teraflops == pytest.approx(thrice, rel=1e-3)
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


@pytest.mark.parametrize(
    ("options", "products", "convolutions"),
    [(("--share", "1"), 66.9, 494.5), (("--gpu", "a100", "--share", "0.5"), 9.75, 78), (("--tflops", "40"), 40, 40)],
)
def test_hours_are_those_of_products_and_of_convolutions_together(
    options: tuple[str, ...], products: float, convolutions: float, preset: Callable[..., Path], tvqsr: Command
) -> None:
    path = preset(lambda content: content.update(entries={"vq_rec": content["entries"]["vq_rec"]}))
    told = tvqsr("estimate", path, *options)
    assert "fp32 PFLOP    tf32 PFLOP" in told.stdout, told.stderr
    (row,) = re.findall(r"^vq\.tokenizer-.*$", told.stdout, re.MULTILINE)
    fp32, tf32, _, hours, _ = map(float, row.split()[3:])
    assert hours == pytest.approx(1000 * (fp32 / products + tf32 / convolutions) / 3600, rel=0.01)


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
