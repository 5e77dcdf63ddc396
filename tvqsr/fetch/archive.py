"""An archive of the catalogue: here, whole and checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.address import Place, place_of
from tvqsr.fetch.check import check, recorded, remembered
from tvqsr.fetch.client import Client
from tvqsr.fetch.drive import DRIVE
from tvqsr.fetch.expected import Expected, expected_of
from tvqsr.fetch.faults import RefusedError
from tvqsr.fetch.lock import locked
from tvqsr.fetch.part import Part
from tvqsr.fetch.retry import Patience, persist
from tvqsr.fetch.space import written
from tvqsr.fetch.sums import Sums
from tvqsr.fetch.transfer import Transfer
from tvqsr.plan.archive import ArchiveSpec


class NotFetchedError(UserError):
    """No address gives a file; `failures` are the addresses, each with the reason."""

    def __init__(self, message: str, failures: str) -> None:
        super().__init__(message)
        self.failures = failures


def fetch_archive(
    file: str,
    spec: ArchiveSpec,
    folder: Path,
    report: Callable[[str], None],
    *,
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    drive: str = DRIVE,
) -> Path:
    """`folder/file`, fetched if it is not there, and checked against the catalogue or against its own record.

    The check is remembered in `FILE.json` beside it, so that an unchanged file is not hashed again. Nothing is ever
    under the final name but a whole file; what is there already is never removed. Raises UserError for a wrong file
    that is there, a full disk, and where no address gives it: then with all that is needed to get it by hand.
    """
    path, part = folder / file, Part(folder / file)
    if path.is_file() and ((remembered(path, spec) and not part.exists) or not os.access(folder, os.W_OK)):
        return check(path, spec, report)
    with locked(path, report), written(folder, file), closing(Client(patience)) as client:
        if path.is_file():
            part.discard()
            return check(path, spec, report)
        expected = expected_of(path, spec)
        sums = _from_any(path, spec, Transfer(file, part, expected, client, report), drive)
        origin = part.origin()
        assert origin is not None
        record = recorded(path, part.path, origin.address, sums, expected)
        part.path.replace(path)
        part.discard()
        report(f"{path}: {record.trust_told()}")
    return path


def _from_any(path: Path, spec: ArchiveSpec, transfer: Transfer, drive: str) -> Sums:
    """Make the part whole from the first address that gives the right file. Raises UserError if none does."""
    failures = []
    for address in spec.addresses:
        place = place_of(address, drive)
        transfer.report(f"{path.name}: fetching from {place.browser}")
        try:
            return _from_one(address, place, transfer)
        except RefusedError as fault:
            failures.append(f"{place.browser} ({fault})")
            transfer.report(f"{path.name}: {failures[-1]}")
    told = "; nor from ".join(failures)
    raise NotFetchedError(_by_hand(path, told, transfer.expected), told)


def _from_one(address: str, place: Place, transfer: Transfer) -> Sums:
    """Make the part whole and right from one address. Raises RefusedError.

    A wrong file that was put together of several answers is fetched once more in one go: the joint may be wrong.
    """
    part, patience = transfer.part, transfer.client.patience
    for _ in range(2):
        received = persist(
            lambda: transfer.attempt(address, place),
            part.size,
            patience,
            lambda line: transfer.report(f"{transfer.name}: {line}"),
        )
        fault = transfer.expected.mismatch(received.sums)
        if fault is None:
            return received.sums
        part.discard()
        if not received.resumed:
            break
        transfer.report(f"{transfer.name}: {fault}, put together of parts; fetching it from its beginning")
    raise RefusedError(fault)


def _by_hand(path: Path, failures: str, expected: Expected) -> str:
    return (
        f"{path.name}: cannot be fetched from {failures}; "
        f"get it by hand and put it at {path.absolute()} ({expected.told()})"
    )
