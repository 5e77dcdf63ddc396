"""What the measurements of speed have in common: turns, clocks, memory, the plain way, the rate of matrix products."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Literal
from unittest.mock import patch

import torch
from torch import nn

from tests.benchmarks.memory import NOT_ASKED, Memory
from tvqsr.memory import KEPT_BY_OLDER, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, keep_freed_memory
from tvqsr.nn import image_loss
from tvqsr.nn.blocks import GroupNorm
from tvqsr.nn.linear import Linear

Call = Callable[[], object]
PLAIN = "plain eager fp32"
Tf32 = Literal["none", "convolutions", "all"]
"""What may be TF32 among fp32 on a GPU. torch's own default, which the suite trains with, is `convolutions`."""
RATE_SECONDS = 2.0
"""For one rate: a virtual machine's varies from one moment to the next."""
SETTLED = 0.03
"""Two best times as near to each other as this are of a quiet machine."""
MOST = 4
"""Times as many rounds as asked for, on one that is not."""


def in_turns(
    ways: Mapping[str, Call], rounds: int, device: torch.device, memory: Mapping[str, Memory] | None = None
) -> dict[str, dict[str, Any]]:
    """Seconds (best, median) of each way, beside its memory, printed as they come.

    The ways take turns, so that other work on the machine slows all of them; in its turn each is called once before
    it is timed, so that it finds the memory as it leaves it itself. Rounds go on beyond those asked for, up to
    `MOST` times as many, until every way's best time has been seen twice. Ratios are of the best times, to the
    first way.
    `memory` was measured before, without the other ways: see `peak_alone`.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for done in range(MOST * rounds):
        if done >= rounds and all(spread(seconds) <= SETTLED for seconds in times.values()):
            break
        for name, call in ways.items():
            call()
            wait(device)
            started = time.perf_counter()
            call()
            wait(device)
            times[name].append(time.perf_counter() - started)
    first = min(next(iter(times.values())))
    found: dict[str, dict[str, Any]] = {}
    for name, seconds in times.items():
        peak = (memory or {}).get(name, NOT_ASKED)
        found[name] = {
            "best_seconds": min(seconds),
            "median_seconds": median(seconds),
            "second_best_above_best": spread(seconds),
            "rounds": len(seconds),
            "times_as_fast": first / min(seconds),
            "peak_memory_mib": peak.mib,
            "peak_memory_reason": peak.reason,
        }
        told = "" if peak is NOT_ASKED else f"   {told_memory(peak)}"
        print(
            f"  {name:<34}{1000 * min(seconds):9.1f} ms at best{1000 * median(seconds):9.1f} in the median"
            f"{first / min(seconds):7.2f} times as fast{told}",
            flush=True,
        )
    return found


def spread(seconds: Sequence[float]) -> float:
    """How much longer the second best time is than the best, as a share of it; 0 of one time."""
    best, *others = sorted(seconds)
    return others[0] / best - 1 if others else 0.0


def told_memory(peak: Memory) -> str:
    """For people: MiB, or why there are none."""
    return f"memory n/a: {peak.reason}" if peak.mib is None else f"{peak.mib:6.0f} MiB"


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def without_own_linear(module: nn.Module) -> None:
    """Linear layers of torch in place of ours."""
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if type(part) is Linear:
                plain = nn.Linear(part.in_features, part.out_features, part.bias is not None, device="meta")
                plain.weight, plain.bias = part.weight, part.bias
                setattr(parent, name, plain.train(part.training))


def made_plain(module: nn.Module) -> None:
    """Layers and layout of torch in place of ours."""
    without_own_linear(module)
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if type(part) is GroupNorm:
                plain = nn.GroupNorm(part.num_groups, part.num_channels, part.eps, device="meta")
                plain.weight, plain.bias = part.weight, part.bias
                setattr(parent, name, plain.train(part.training))
    module.to(memory_format=torch.contiguous_format)


def keep_freed(kept: bool) -> None:
    """Let this process keep what it frees as the suite does, or give it back as glibc does by itself.

    glibc's own thresholds begin lower and have risen to these with the first large tensor that is freed (mallopt(3)).
    """
    keep_freed_memory()
    if not kept and sys.platform == "linux":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT_BY_OLDER)
        mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BY_OLDER)


@contextmanager
def gradients_not_kept() -> Iterator[None]:
    """LPIPS goes back as often as it is asked to."""
    with patch.object(image_loss, "with_kept_gradient", lambda loss, image: loss(image)):
        yield


@contextmanager
def allowed_tf32(what: Tf32) -> Iterator[None]:
    """TF32 in matrix products and cuDNN's convolutions where it is said, and nowhere else."""
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if what == "all" else "highest")
    torch.backends.cudnn.allow_tf32 = what != "none"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def matrix_rates(device: torch.device) -> dict[str, float]:
    """Multiply-accumulates a second of the quickest large product, by what is multiplied."""
    kinds: dict[str, tuple[torch.dtype, Tf32]] = {"fp32": (torch.float32, "none"), "bf16": (torch.bfloat16, "none")}
    if device.type == "cuda":
        kinds["tf32"] = (torch.float32, "all")
    rates = {}
    for name, (dtype, tf32) in kinds.items():
        with allowed_tf32(tf32), torch.inference_mode():
            rates[name] = _matrix_rate(device, dtype)
    return rates


def _matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Of a matrix product or a convolution: on a CPU another library makes the latter, at another rate."""
    side = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    channels, pixels = side // 4, 48
    maps = torch.randn(1, channels, pixels, pixels, device=device).to(dtype, memory_format=torch.channels_last)
    kernel = torch.randn(channels, channels, 3, 3, device=device).to(dtype, memory_format=torch.channels_last)
    products = side**3 / _quickest(device, lambda: a @ b)
    convolved = 9 * channels**2 * (pixels - 2) ** 2 / _quickest(device, lambda: nn.functional.conv2d(maps, kernel))
    return max(products, convolved)


def _quickest(device: torch.device, call: Call) -> float:
    """Seconds of the quickest call of those that fit in some seconds."""
    best, until = float("inf"), time.perf_counter() + RATE_SECONDS
    while time.perf_counter() < until:
        wait(device)
        started = time.perf_counter()
        call()
        wait(device)
        best = min(best, time.perf_counter() - started)
    return best


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    return float((found.detach().float() - expected.detach().float()).norm() / expected.detach().float().norm())
