"""Room on the disk: asked for before anything is written, and told plainly when it runs out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.progress import size

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise UserError if `needed` bytes more do not fit where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{what}: needs {size(needed)} more in {folder}, where {size(free)} are free; make room there")


@contextmanager
def written(folder: Path, what: str) -> Iterator[None]:
    """Tell a full disk, a quota or a limit of file size that is met inside as UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(
            f"{what}: no more can be written to {folder} ({error.strerror}, {size(shutil.disk_usage(folder).free)} "
            f"free); make room there and run it again"
        ) from None
