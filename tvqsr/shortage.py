"""Out of memory, on a GPU or not: what was needed, what there is, and where."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError

ROOM = 0.9
"""Share of the memory that a suggestion may take: what is measured is the least that was needed."""
WORDS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""In errors that torch raises without a type of their own."""
ASKED = re.compile(r"(?:allocate|allocate:? you tried to allocate|Unable to allocate) ([\d.]+) ?(bytes|[KMGT]i?B)")
UNITS = {"b": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CGROUP = Path("/sys/fs/cgroup/memory.max")
STATUS = Path("/proc/self/status")
PEAK = re.compile(r"^VmPeak:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Shortage:
    """Bytes that were needed at least, and that there are for this process; and where."""

    needed: int
    available: int
    where: str

    def __str__(self) -> str:
        return (
            f"out of {self.where} memory: {self.needed / 2**30:.2f} GiB or more needed, "
            f"{self.available / 2**30:.2f} GiB there"
        )

    @property
    def share(self) -> float:
        """How much of what was needed may be taken; below one."""
        return min(ROOM * self.available / self.needed, ROOM)


@contextmanager
def told_out_of_memory(advice: Callable[[Shortage], str]) -> Iterator[None]:
    """Turn an error of memory into UserError with what was needed, what there is, and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        short = shortage(error)
        raise UserError(f"{short}; {advice(short)}") from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is Python's, numpy's or torch's way to say so."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(word in str(error) for word in WORDS)


def shortage(error: BaseException) -> Shortage:
    """What an error of memory and the allocators tell."""
    found = ASKED.search(str(error))
    asked = int(float(found[1]) * UNITS[found[2][0]]) if found else 0
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and _of_gpu(error):
        free, _ = torch.cuda.mem_get_info()
        held = torch.cuda.memory_reserved()
        return Shortage(max(torch.cuda.max_memory_allocated(), 0) + asked, free + held, "GPU")
    held, available = _main_memory()
    return Shortage(held + asked, available, "main")


def _of_gpu(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or bool(re.search("CUDA|CUBLAS|CUDNN", str(error)))


def _main_memory() -> tuple[int, int]:
    """Bytes that this process held at its peak, and may have: of the machine, its container, or its own limit.

    That limit (`ulimit -v`) is of addresses, of which a process takes more than of memory.
    """
    container = _content(CGROUP).strip()
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    there = min(machine, int(container)) if container.isdecimal() else machine
    own, _ = resource.getrlimit(resource.RLIMIT_AS)
    if own != resource.RLIM_INFINITY and own < there and (addresses := PEAK.search(_content(STATUS))):
        return int(addresses[1]) * 1024, own
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, there


def _content(path: Path) -> str:
    """Of a file that only Linux has."""
    return path.read_text() if path.is_file() else ""
