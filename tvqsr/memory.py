"""Memory that was freed, kept for what is asked for next."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""
KEPT = 2**30
"""Bytes: what is asked for in larger pieces is still the system's, and goes back to it."""
KEPT_BY_OLDER = 2**25
"""The most that older glibc takes, and what every glibc comes to by itself."""
NEVER = -1


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


def give_back_freed_memory() -> None:
    """Let the system have what was freed, where a process keeps it: between parts of a work that is bounded in memory.

    What is kept lies in pieces, and of what is asked for next not all fits into them: from part to part there is more.
    """
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    """A function of its own; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
