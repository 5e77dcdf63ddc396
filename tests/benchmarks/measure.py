"""What the measurements of speed have in common: turns, clocks, memory, the plain way, the rate of matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from tvqsr.efficiency.memory import peak_memory
from tvqsr.nn import image_loss
from tvqsr.nn.blocks import GroupNorm
from tvqsr.nn.linear import Linear

Call = Callable[[], object]
PLAIN = "plain eager fp32"


def in_turns(ways: Mapping[str, Call], rounds: int, device: torch.device) -> dict[str, dict[str, Any]]:
    """Seconds (best, median) of each way and the memory of its first call, which is not timed, printed as they come.

    The ways take turns, so that other work on the machine slows all of them. Ratios are of the best times, to the first
    way.
    """
    memory = {name: peak_memory(call, device)[0] for name, call in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            wait(device)
            started = time.perf_counter()
            call()
            wait(device)
            times[name].append(time.perf_counter() - started)
    first = min(next(iter(times.values())))
    found: dict[str, dict[str, Any]] = {
        name: {
            "best_seconds": min(seconds),
            "median_seconds": median(seconds),
            "times_as_fast": first / min(seconds),
            "peak_memory_mib": memory[name],
        }
        for name, seconds in times.items()
    }
    for name, row in found.items():
        print(
            f"  {name:<34}{1000 * row['best_seconds']:9.1f} ms at best{1000 * row['median_seconds']:9.1f} in the median"
            f"{row['times_as_fast']:7.2f} times as fast{row['peak_memory_mib'] or 0:8.0f} MiB",
            flush=True,
        )
    return found


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


@contextmanager
def gradients_not_kept() -> Iterator[None]:
    """LPIPS goes back as often as it is asked to."""
    with patch.object(image_loss, "with_kept_gradient", lambda loss, image: loss(image)):
        yield


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-accumulates a second of the quickest large product: a matrix product, or the same as a convolution."""
    side = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    pixels = a[:, :, None, None].contiguous(memory_format=torch.channels_last)
    ways: tuple[Call, ...] = (lambda: a @ b, lambda: nn.functional.conv2d(pixels, b[:, :, None, None]))
    best = 1e9
    with torch.inference_mode():
        for _ in range(5):
            for way in ways:
                wait(device)
                started = time.perf_counter()
                way()
                wait(device)
                best = min(best, time.perf_counter() - started)
    return side**3 / best


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    return float((found.detach().float() - expected.detach().float()).norm() / expected.detach().float().norm())
