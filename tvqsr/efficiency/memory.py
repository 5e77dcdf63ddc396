"""Peak memory of a call: exact on a GPU, by the process's resident set on Linux."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
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
        _give_back()
        # Linux: `5` resets the peak to what is resident now (proc(5)).
        PEAK_RESET.write_text("5")
        before = _resident("VmRSS")
        run()
        return round(_resident("VmHWM") - before, 1), ON_CPU
    except OSError:
        return None, "this system does not let a process reset its peak memory, as Linux does"


def _give_back() -> None:
    """Return what is freed but still resident to the system, where the C library can: it would hide a call's growth."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _resident(field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS}: no {field}")
    return int(found[1]) / 1024
