"""Peak memory of a way to do something: alone in a process of its own, or of a call beyond what is held."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import torch

from tests.benchmarks.alone import alone
from tvqsr.efficiency.memory import forget_peak as forget_cpu_peak
from tvqsr.efficiency.memory import peak_memory
from tvqsr.memory import resident

Call = Callable[[], object]
CALLS = 2
"""The first step of a training makes Adam's moments when all gradients are there, the second has both all along."""


class Memory(NamedTuple):
    """MiB; None, and why, where they cannot be measured."""

    mib: float | None
    reason: str | None = None


NOT_ASKED = Memory(None, "not asked for")


def peak_alone(make: Callable[[], Call], device: torch.device) -> Memory:
    """Peak memory of what `make` makes and of two calls of it, in a process that holds nothing else.

    On a GPU, the most that torch allocated there. On a CPU, the most that was resident, less what was so before `make`:
    weights count, what only making them took does not. What is compiled counts its compiler, too. `make` is pickled;
    modules that it is to import had better be imported with it, or they count as its own.
    """
    if device.type == "cuda":
        # What this process keeps for later would be lacking to the other.
        gc.collect()
        torch.cuda.empty_cache()
    try:
        return alone(_peak, make, device, torch.get_num_threads())
    except BrokenProcessPool:
        return Memory(None, "its process was killed: the machine has too little memory for it, it seems")


def growth(call: Call, device: torch.device) -> Memory:
    """Peak memory of a call beyond what is held before it."""
    held = torch.cuda.memory_allocated(device) / 2**20 if device.type == "cuda" else 0
    peak, told = peak_memory(call, device)
    return Memory(None, told) if peak is None else Memory(round(peak - held, 1))


def forget_peak(device: torch.device) -> None:
    """Let the peak be what is held now, what is freed given back. Raises OSError where a CPU's cannot be forgotten."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        forget_cpu_peak()


def peak_held(device: torch.device) -> float:
    """MiB that torch allocated on a GPU, or that this whole process had resident, at most since `forget_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resident("VmHWM")


def _peak(make: Callable[[], Call], device: torch.device, threads: int) -> Memory:
    torch.set_num_threads(threads)
    try:
        forget_peak(device)
        before = 0.0 if device.type == "cuda" else peak_held(device)
        call = make()
        forget_peak(device)
        for _ in range(CALLS):
            call()
        return Memory(round(peak_held(device) - before, 1))
    except OSError:
        return Memory(None, "this system does not let a process reset its peak memory, as Linux does")
    except torch.OutOfMemoryError:
        free, whole = (size / 2**30 for size in torch.cuda.mem_get_info(device))
        return Memory(None, f"more than the GPU had for it: of {whole:.0f} GiB, {free:.0f} were left in the end")
