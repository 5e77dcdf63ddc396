"""Memory of this process: what it holds, and what it freed, kept for what is asked for next."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""
KEPT = 2**30
"""Bytes: what is asked for in larger pieces is still the system's, and goes back to it."""
KEPT_BY_OLDER = 2**25
"""The most that older glibc takes, and what every glibc comes to by itself."""
NEVER = -1
GROWN = 1.2
"""Times as much as after a first part of a work, beyond which freed memory has come to lie in pieces."""


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to its peak: on Linux with glibc; elsewhere nothing is done.

    By itself glibc gives every piece beyond 32 MiB back at once, and the system clears and maps all its pages anew for
    the next one: a third of the time of a network on large images, on a CPU (results/README.md, "Speed").
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return
    if not mallopt(M_MMAP_THRESHOLD, KEPT):
        mallopt(M_MMAP_THRESHOLD, KEPT_BY_OLDER)
    mallopt(M_TRIM_THRESHOLD, NEVER)


class KeptBetweenParts:
    """Bounds what a process keeps of the CPU's memory from one part of a work to the next, as a tile of an image.

    What is kept lies in pieces, and of what is asked for next not all fits into them: at times there is more from part
    to part. Once it has grown by a fifth, all that is free is given back; not after every part, which would have to be
    cleared for the next one (results/README.md, "Speed").
    """

    def __init__(self) -> None:
        self._after_first: float | None = None

    def part_done(self) -> None:
        """To be told after each part."""
        try:
            held = resident("VmRSS")
        except OSError:
            return
        if self._after_first is None:
            self._after_first = held
        elif held > GROWN * self._after_first:
            give_back_freed_memory()
            self._after_first = None


def give_back_freed_memory() -> None:
    """Let the system have what was freed, where the C library can."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def resident(field: str) -> float:
    """MiB that this process holds (`VmRSS`) or held at its peak (`VmHWM`). Raises OSError where Linux does not say."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS}: no {field}")
    return int(found[1]) / 1024


def _of_glibc(name: str) -> Any:
    """A function of its own; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
