"""TVQ&RAP in inference at the paper's size: LR 64 -> 256, alone and in batches, and 512 -> 2048 tile by tile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.measure import PLAIN, in_turns, made_plain, relative, wait, without_own_linear
from tvqsr.contract import Upscaler
from tvqsr.efficiency.fresh import FreshStages
from tvqsr.fetch.progress import Steps
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin
from tvqsr.train.switches import compile_blocks
from tvqsr.upscale.job import ready
from tvqsr.upscale.tiles import TILE, tiled

TOLERANCE = 2e-5
"""Relative, of what runs in fp32 on a CPU, against the plain model, which itself is some 4e-6 off float64.

On a GPU, torch's convolutions are TF32's in fp32: differences are told, and bounded by nothing.
"""
BATCH = 4


@dataclass(frozen=True)
class Way:
    """A model and how it is run: an image-to-image function."""

    model: Upscaler
    layout: torch.memory_format = torch.channels_last
    dtype: torch.dtype = torch.float32
    inference_mode: bool = True

    def __call__(self, image: Tensor) -> Tensor:
        lower = torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)
        with torch.inference_mode() if self.inference_mode else torch.no_grad(), lower:
            return self.model(image.contiguous(memory_format=self.layout)).float()


def ways(device: torch.device, compiled: Path | None) -> dict[str, Way]:
    """The same model with fresh weights, run in several ways."""
    torch.manual_seed(0)
    method = load_method("tvqrap", "benchmark")
    trained = FreshStages({}).build(method, "rap")

    def ours() -> Upscaler:
        return ready(load_plugin(method).upscaler(trained), gpus=int(device.type == "cuda"))[0]

    plain, contiguous, other_linear = ours(), ours(), ours()
    made_plain(plain)
    contiguous.to(memory_format=torch.contiguous_format)
    without_own_linear(other_linear)
    found = {
        PLAIN: Way(plain, torch.contiguous_format, inference_mode=False),
        "ours": Way(ours()),
        "ours, not channels-last": Way(contiguous, torch.contiguous_format),
        "ours, torch's linear layers": Way(other_linear),
        "ours, bf16": Way(ours(), dtype=torch.bfloat16),
    }
    if compiled:
        model = ours()
        compile_blocks(model, compiled)
        found["ours, compiled"] = Way(model, inference_mode=False)
    return found


def inference(device: torch.device, rounds: int, compiled: Path | None) -> list[dict[str, Any]]:
    """Images of 64 x 64, one and several at a time."""
    measured, found = ways(device, compiled), []
    for batch in (1, BATCH):
        image = _image(64, device, batch)
        print(f"LR 64 x 64 -> 256 x 256, {batch} at a time")
        times = in_turns({name: partial(way, image) for name, way in measured.items()}, rounds, device)
        outputs = {name: way(image) for name, way in measured.items()}
        for row in times.values():
            row["images_per_second"] = batch / row["best_seconds"]
        _compare(times, outputs)
        found.append({"lr": 64, "batch": batch, "ways": times})
    return found


def large(device: torch.device, side: int) -> dict[str, Any]:
    """One image, tile by tile, once in each way: it takes minutes on a CPU."""
    image = _image(side, device, 1)
    print(f"LR {side} x {side} -> {4 * side} x {4 * side} in tiles of {TILE}")
    times: dict[str, dict[str, Any]] = {}
    outputs = {}
    chosen = {name: way for name, way in ways(device, None).items() if name in (PLAIN, "ours", "ours, bf16")}
    for name, way in chosen.items():
        way(image[..., :TILE, :TILE])
        wait(device)
        started = time.perf_counter()
        outputs[name] = tiled(way, image, way.model.multiple, TILE, lambda total: Steps("tile", total, lambda _: None))
        seconds = time.perf_counter() - started
        first = times[PLAIN]["seconds"] if times else seconds
        megapixels = (4 * side) ** 2 / 1e6 / seconds
        times[name] = {"seconds": seconds, "times_as_fast": first / seconds, "megapixels_per_second": megapixels}
        print(f"  {name:<34}{seconds:9.1f} s{first / seconds:7.2f} times as fast", flush=True)
    _compare(times, outputs)
    return {"lr": side, "tile": TILE, "ways": times}


def _image(side: int, device: torch.device, batch: int) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)


def _compare(times: dict[str, dict[str, Any]], outputs: dict[str, Tensor]) -> None:
    """Differences to the plain model; on a CPU, what is fp32 and beyond the tolerance ends the benchmark."""
    bounded = outputs[PLAIN].device.type == "cpu" and not torch.cuda.is_available()
    for name, row in times.items():
        row["relative_difference"] = relative(outputs[name], outputs[PLAIN])
        assert not bounded or "bf16" in name or row["relative_difference"] <= TOLERANCE, (
            f"{name}: {row['relative_difference']}"
        )
    print("  relative difference:", {name: f"{row['relative_difference']:.1e}" for name, row in times.items()})
