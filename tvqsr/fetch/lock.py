"""One process at a time: the others wait, and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of `path`: `.NAME.lock` beside it.

    The system frees it when its holder ends in whatever way; the empty file stays, since to remove it would be a race.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"{path.name}: another process is at it; waiting for it to finish")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
