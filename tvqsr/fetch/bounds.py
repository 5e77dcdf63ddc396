"""How large an archive may become: bombs are stopped, and the largest public sets pass."""

from __future__ import annotations

from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.faults import ByHandError
from tvqsr.fetch.progress import size

MEMBERS = 5_000_000
"""ImageNet's 1.28 million training photos pass; a list of more would fill the memory."""
TOTAL = 10**12
"""Bytes: ImageNet has 0.15 TB."""
IMAGE = 512 * 2**20
"""Bytes of one image: the largest of the sets, 2K photos as PNG, have some 10 MB; it is held in memory."""
RATIO = 100
"""Times the size of the archive: images are compressed already (about 1), text has about 10, a bomb 1000 and more."""
SMALL = 100 * 2**20
"""Bytes that any archive may become, flat test images included."""


class Bounds:
    """Adds up what the members of an archive declare. Raises UserError as soon as it is too much."""

    def __init__(self, archive: Path) -> None:
        self.archive, self.members, self.bytes = archive, 0, 0
        self.most = min(TOTAL, max(SMALL, RATIO * archive.stat().st_size))

    def count(self, declared: int) -> None:
        """Count a member of that many bytes."""
        self.members += 1
        self.bytes += declared
        if self.members > MEMBERS:
            raise ByHandError(f"{self.archive}: holds more than {MEMBERS} files")
        if self.bytes > self.most:
            raise ByHandError(f"{self.archive}: unpacks to more than {size(self.most)}, far more than photos would")


def check_image(archive: Path, member: str, declared: int) -> None:
    """Raise UserError for an image that is too large to be one."""
    if declared > IMAGE:
        raise UserError(f"{archive}: {member} has {size(declared)}; an image has {size(IMAGE)} at most")
