"""Peak memory of a call: exact on a GPU, by the process's resident set on Linux."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import torch

from tvqsr.memory import give_back_freed_memory, resident

PEAK_RESET = Path("/proc/self/clear_refs")
ON_GPU = "most that torch allocated on the GPU while one image was made, weights included"
ON_CPU = (
    "growth of the process's peak resident set while its first image was made, over what it held with the model loaded"
)


def peak_memory(run: Callable[[], object], device: torch.device) -> tuple[float | None, str]:
    """MiB that a call took at its peak, and what that number is; None and why where it cannot be measured.

    On a CPU, measure a call before any other: memory that libraries kept from an earlier one would not be seen.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1), ON_GPU
    try:
        forget_peak()
        before = resident("VmRSS")
        run()
        return round(resident("VmHWM") - before, 1), ON_CPU
    except OSError:
        return None, "this system does not let a process reset its peak memory, as Linux does"


def forget_peak() -> None:
    """Let the peak be what is held now. What is freed but still resident is given back: it would hide a call's growth.

    Raises OSError where a process cannot reset its peak memory.
    """
    gc.collect()
    give_back_freed_memory()
    # Linux: `5` resets the peak to what is resident now (proc(5)).
    PEAK_RESET.write_text("5")
