"""Is the archive that is here the right one? Hashed once, and remembered."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.expected import Expected, expected_of
from tvqsr.fetch.progress import size
from tvqsr.fetch.record import Record, now, read_record, record_path
from tvqsr.fetch.sums import Sums, sums_of
from tvqsr.plan.archive import ArchiveSpec


def remembered(path: Path, spec: ArchiveSpec) -> bool:
    """Whether this very file met what is expected of it before."""
    record, expected = read_record(path), expected_of(path, spec)
    return record is not None and record.describes(path) and _fits(record, expected)


def check(path: Path, spec: ArchiveSpec, report: Callable[[str], None]) -> Path:
    """The archive at `path`, which may have been put there by hand. Raises UserError for a wrong one, which stays."""
    if remembered(path, spec):
        return path
    expected, found = expected_of(path, spec), path.stat().st_size
    if expected.bytes is not None and expected.bytes != found:
        # No need to hash what has another length.
        raise _wrong(path, f"has {found} bytes instead of {expected.bytes}{expected.first_seen or ''}")
    report(f"{path}: checking it ({size(found)})")
    sums = sums_of(path, expected.md5 is not None)
    if fault := expected.mismatch(sums):
        raise _wrong(path, fault)
    if os.access(path.parent, os.W_OK):
        before = read_record(path)
        record = recorded(path, path, before.address if before else None, sums, expected)
        report(f"{path}: {record.trust_told()}")
    else:
        report(f"{path.parent}: cannot be written to, so the archive is checked each time")
    return path


def recorded(path: Path, content: Path, address: str | None, sums: Sums, expected: Expected) -> Record:
    """Write the record of the archive `path`, whose content lies in `content` until it is renamed."""
    before = read_record(path)
    date = before.date if before and before.sha256 == sums.sha256 else now()
    changed = content.stat().st_mtime_ns
    record = Record(address, sums.bytes, sums.sha256, sums.md5, expected.trust, date, changed)
    record.write(record_path(path))
    return record


def _fits(record: Record, expected: Expected) -> bool:
    """Whether what was found then is what is expected now; a catalogue may have learned a hash since."""
    return expected.mismatch(record.sums) is None and record.trust == expected.trust


def _wrong(path: Path, fault: str) -> UserError:
    return UserError(
        f"{path}: {fault}; it is not the archive that was expected: delete it to have it fetched, or replace it"
    )
