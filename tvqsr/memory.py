"""Memory that was freed, kept for what is asked for next."""

from __future__ import annotations

import ctypes
import sys

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
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    if not mallopt(M_MMAP_THRESHOLD, KEPT):
        mallopt(M_MMAP_THRESHOLD, KEPT_BY_OLDER)
    mallopt(M_TRIM_THRESHOLD, NEVER)
