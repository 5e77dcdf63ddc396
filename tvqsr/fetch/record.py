"""The record beside an archive, `FILE.json`: where it came from, what it is, and how far that is to be trusted."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.progress import size
from tvqsr.fetch.sums import Sums
from tvqsr.fetch.swap import swap_json
from tvqsr.files import read_json

PUBLISHED, FIRST_USE = "published", "first use"


@dataclass(frozen=True)
class Record:
    """What is known of an archive that was here once; it stays when the archive is deleted."""

    address: str | None
    """The address that served it; null if it was put here by hand."""
    bytes: int
    sha256: str
    md5: str | None
    trust: str
    """`published`: a hash of the catalogue was met. `first use`: there was none, so these sums are the measure now."""
    date: str
    """When these sums were first seen, UTC."""
    checked_mtime_ns: int
    """Time of change of the file that had these sums: while it stays, the file is not hashed again."""

    @property
    def sums(self) -> Sums:
        return Sums(self.bytes, self.sha256, self.md5)

    def describes(self, path: Path) -> bool:
        """Whether the file is the one that was checked, by its size and time of change."""
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (self.bytes, self.checked_mtime_ns)

    def trust_told(self) -> str:
        """For the user: what the file was compared with."""
        if self.trust == PUBLISHED:
            return f"{size(self.bytes)}, as published (sha256 {self.sha256})"
        return (
            f"{size(self.bytes)}, trusted on first use: no hash is published, so sha256 {self.sha256} is recorded and "
            f"checked from now on"
        )

    def write(self, path: Path) -> None:
        swap_json(path, asdict(self))


def record_path(archive: Path) -> Path:
    """Where an archive's record lies."""
    return archive.with_name(f"{archive.name}.json")


def read_record(archive: Path) -> Record | None:
    """An archive's record, None if there is none. Raises UserError if it is damaged."""
    path = record_path(archive)
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        return Record(**content)
    except TypeError:
        raise UserError(f"{path}: is no record of an archive; delete it to have {archive.name} checked anew") from None


def now() -> str:
    """The date and time of a record."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
