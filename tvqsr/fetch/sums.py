"""Length and hashes of a file, computed while it streams by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20


@dataclass(frozen=True)
class Sums:
    """Bytes and hex hashes of a whole file; md5 only where something is known to compare it with."""

    bytes: int
    sha256: str
    md5: str | None = None


class Summing:
    """Sums of bytes that come one after the other."""

    def __init__(self, with_md5: bool) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        # Published lists give md5; it guards against damage here, not against malice.
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    def add(self, data: bytes) -> None:
        """Take the next bytes in."""
        self.bytes += len(data)
        self._sha256.update(data)
        if self._md5:
            self._md5.update(data)

    def add_file(self, path: Path) -> None:
        """Take the content of a file in."""
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                self.add(block)

    def sums(self) -> Sums:
        """Sums of all that was added."""
        return Sums(self.bytes, self._sha256.hexdigest(), self._md5.hexdigest() if self._md5 else None)


def sums_of(path: Path, with_md5: bool) -> Sums:
    """Sums of a file."""
    summing = Summing(with_md5)
    summing.add_file(path)
    return summing.sums()
