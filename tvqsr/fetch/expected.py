"""What an archive must be: as published, or as it was when it was first seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvqsr.fetch.record import FIRST_USE, PUBLISHED, Record, read_record, record_path
from tvqsr.fetch.sums import Sums
from tvqsr.plan.archive import ArchiveSpec


@dataclass(frozen=True)
class Expected:
    """Bytes and hashes that a file must have; null is not known."""

    bytes: int | None
    sha256: str | None
    md5: str | None
    first_seen: str | None = None
    """Where nothing is published: what to say of the record that the hash is from."""

    @property
    def has_hash(self) -> bool:
        """Whether a file can be told from any other."""
        return bool(self.sha256 or self.md5)

    @property
    def trust(self) -> str:
        """What a file that meets this is recorded with."""
        return PUBLISHED if self.has_hash and self.first_seen is None else FIRST_USE

    def mismatch(self, sums: Sums) -> str | None:
        """What is wrong with a file of these sums, None if nothing is."""
        for kind in ("bytes", "sha256", "md5"):
            wanted, found = getattr(self, kind), getattr(sums, kind)
            if wanted is not None and not (found == wanted or (kind == "sha256" and found.startswith(wanted))):
                return f"has {_told(kind, found)} instead of {_told(kind, wanted)}{self.first_seen or ''}"
        return None

    def told(self) -> str:
        """For the user, who is to get the file by hand."""
        known = [_told(kind, getattr(self, kind)) for kind in ("bytes", "sha256", "md5") if getattr(self, kind)]
        return ", ".join(known) or "size and hash are not published"


def expected_of(archive: Path, spec: ArchiveSpec) -> Expected:
    """What an archive must be. A published hash counts for more than a record.

    Raises UserError for a damaged record.
    """
    record = read_record(archive)
    if spec.sha256 or spec.md5 or record is None:
        return Expected(spec.bytes, spec.sha256, spec.md5)
    return Expected(spec.bytes or record.bytes, record.sha256, None, _first_seen(archive, record))


def _first_seen(archive: Path, record: Record) -> str:
    return f", as on {record.date[:10]} when it was first seen (to trust the new one, delete {record_path(archive)})"


def _told(kind: str, value: object) -> str:
    return f"{value} bytes" if kind == "bytes" else f"{kind} {value}"
