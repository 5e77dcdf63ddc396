"""TVQ&RAP in inference at the paper's size: LR 64 -> 256, alone and in batches; on a GPU 512 -> 2048, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lpips  # noqa: F401 - else it would be imported, and counted, as part of a network's memory
import torch
from torch import Tensor

from tests.benchmarks.measure import (
    PLAIN,
    Tf32,
    allowed_tf32,
    in_turns,
    keep_freed,
    made_plain,
    relative,
    without_own_linear,
)
from tests.benchmarks.memory import Call, peak_alone
from tvqsr.contract import Upscaler
from tvqsr.efficiency.fresh import FreshStages
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin
from tvqsr.train.switches import compile_blocks
from tvqsr.upscale.job import ready

TOLERANCE = 2e-5
"""Relative, of what runs in fp32 on a CPU, against the plain model, which itself is some 4e-6 off float64.

On a GPU differences are told, and bounded by nothing.
"""
SIZES = ((64, 1), (64, 4))
"""Side of LR, and images at a time."""
GPU_SIZES = ((512, 1),)
"""On GPUs, too; on a CPU such an image takes minutes, and `large` does it tile by tile."""


@dataclass(frozen=True)
class Switches:
    """How an image is made; the default is how the suite makes it, but that on a GPU nothing is TF32."""

    plain: bool = False
    layout: torch.memory_format = torch.channels_last
    own_linear: bool = True
    freed_kept: bool = True
    bf16: bool = False
    tf32: Tf32 = "none"
    compiled: Path | None = None


def ways(device: torch.device, compiled: Path | None) -> dict[str, Switches]:
    """Ways to make an image, the plain one first."""
    plain = Switches(plain=True, layout=torch.contiguous_format, own_linear=False, freed_kept=False)
    found = {
        PLAIN: plain,
        "ours": Switches(),
        "ours, not channels-last": Switches(layout=torch.contiguous_format),
        "ours, torch's linear layers": Switches(own_linear=False),
        "ours, freed memory given back": Switches(freed_kept=False),
        "ours, bf16": Switches(bf16=True),
    }
    if device.type == "cuda":
        found["plain eager, TF32"] = replace(plain, tf32="all")
        found["ours, TF32 in convolutions"] = Switches(tf32="convolutions")
        found["ours, TF32"] = Switches(tf32="all")
    if compiled:
        found["ours, compiled"] = Switches(compiled=compiled)
        found["ours, compiled, bf16"] = Switches(compiled=compiled, bf16=True)
    return found


class Way:
    """The model with fresh weights, the same in every way: an image-to-image function."""

    def __init__(self, switches: Switches, device: torch.device) -> None:
        torch.manual_seed(0)
        method = load_method("tvqrap", "benchmark")
        model: Upscaler = load_plugin(method).upscaler(FreshStages({}).build(method, "rap"))
        self.model = ready(model, gpus=int(device.type == "cuda"))[0]
        self.switches = switches
        if switches.plain:
            made_plain(self.model)
        if not switches.own_linear:
            without_own_linear(self.model)
        self.model.to(memory_format=switches.layout)
        if switches.compiled:
            compile_blocks(self.model, switches.compiled)

    def __call__(self, image: Tensor) -> Tensor:
        how = self.switches
        keep_freed(how.freed_kept)
        no_gradients = torch.no_grad() if how.plain or how.compiled else torch.inference_mode()
        lower = torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=how.bf16)
        with no_gradients, lower, allowed_tf32(how.tf32):
            return self.model(image.contiguous(memory_format=how.layout)).float()


def inference(device: torch.device, rounds: int, compiled: Path | None, memory: bool = True) -> list[dict[str, Any]]:
    """Images of 64 x 64, one and several at a time; on a GPU one of 512 x 512, whole."""
    chosen = ways(device, compiled)
    made = {name: Way(switches, device) for name, switches in chosen.items()}
    found = []
    for side, batch in SIZES + (GPU_SIZES if device.type == "cuda" else ()):
        image = random_image(side, device, batch)
        print(f"LR {side} x {side} -> {4 * side} x {4 * side}, {batch} at a time")
        makers = {name: partial(_call, switches, device, side, batch) for name, switches in chosen.items()}
        peaks = {name: peak_alone(make, device) for name, make in makers.items()} if memory else None
        times = in_turns({name: partial(way, image) for name, way in made.items()}, rounds, device, peaks)
        for row in times.values():
            row["images_per_second"] = batch / row["best_seconds"]
        compare(times, {name: partial(way, image) for name, way in made.items()}, device)
        found.append({"lr": side, "batch": batch, "ways": times})
    return found


def random_image(side: int, device: torch.device, batch: int) -> Tensor:
    """(batch, 3, side, side) in [0, 1], always the same."""
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)


def compare(times: dict[str, dict[str, Any]], outputs: dict[str, Callable[[], Tensor]], device: torch.device) -> None:
    """Differences to the plain model; on a CPU, what is fp32 and beyond the tolerance ends the benchmark."""
    expected = outputs[PLAIN]()
    for name, row in times.items():
        row["relative_difference"] = relative(outputs[name](), expected)
        assert device.type == "cuda" or "bf16" in name or row["relative_difference"] <= TOLERANCE, (
            f"{name}: {row['relative_difference']}"
        )
    print("  relative difference:", {name: f"{row['relative_difference']:.1e}" for name, row in times.items()})


def _call(switches: Switches, device: torch.device, side: int, batch: int) -> Call:
    return partial(Way(switches, device), random_image(side, device, batch))
