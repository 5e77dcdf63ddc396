"""Cost of one image in inference: multiply-accumulates, milliseconds, peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tvqsr.contract import Upscaler
from tvqsr.efficiency.memory import peak_memory
from tvqsr.upscale.padding import padded

SIDES = {"lr": 64, "hr": 256}
"""Side of the square input in pixels, by what a method reads: the paper's 64 x 64 -> 256 x 256 (efficiency table)."""
WARM_UPS, FEWEST, MOST, SECONDS = 3, 5, 100, 10.0
"""Runs that are not timed; runs that are: at most so many, or so many seconds, but never fewer than the fewest."""


def inference_cost(model: Upscaler, reads: str, device: torch.device) -> dict[str, Any]:
    """Measure a model on one random image (batch 1, fp32), padded as `upscale` pads it.

    `reads` is `lr` or `hr`. A number that cannot be had is None and has a `*_reason` beside it.
    """
    side = SIDES[reads]
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)

    def upscale() -> Tensor:
        return padded(model, image, model.multiple)

    with torch.inference_mode():
        # Memory first: what the first image allocates, libraries keep for the next.
        memory, memory_told = peak_memory(upscale, device)
        times = milliseconds(upscale, device)
        count, output = macs(upscale), upscale()
    low, _, high = quantiles(times, n=4, method="inclusive")
    return {
        "input": list(image.shape),
        "output": list(output.shape),
        "macs": count or None,
        "macs_reason": None if count else "no convolution, matrix product or attention of torch's to count",
        "milliseconds": {"median": round(median(times), 3), "quartiles": [round(low, 3), round(high, 3)]},
        "timed_images": len(times),
        "peak_memory_mib": memory,
        "peak_memory_reason": memory_told if memory is None else None,
        "peak_memory_of": None if memory is None else memory_told,
        "precision": "float32",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of torch's convolutions, matrix products and attentions in a call; nothing else counts."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2


def milliseconds(run: Callable[[], object], device: torch.device) -> list[float]:
    """Time of each call after warming up; on a GPU the clock waits for it on both sides."""
    for _ in range(WARM_UPS):
        run()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < FEWEST or (len(times) < MOST and time.perf_counter() - started < SECONDS):
        _wait(device)
        before = time.perf_counter()
        run()
        _wait(device)
        times.append(1000 * (time.perf_counter() - before))
    return times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
