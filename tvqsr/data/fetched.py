"""Sets of photos that a program puts into the data folder: unpacked, taken from the Hub, or made of another set.

The record of a set, `set.json`, says where its photos came from; photos without a record are the user's own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.fetch.lock import locked
from tvqsr.fetch.swap import swap_json
from tvqsr.files import read_json
from tvqsr.plan.catalogue import RECORD, hub_title, set_folder, sides_of, source_of
from tvqsr.plan.places import Places, is_filled, is_present
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import SIDES, ArchiveSource, ByHandSource, HubSource, ImagenetTestSource, Side, Source

Report = Callable[[str], None]
KEPT = ("address", "bytes", "sha256", "md5", "trust")
"""Of an archive's record: what does not change from one fetching of the same file to the next."""


def make_present(dataset: DatasetSpec, places: Places, report: Report) -> None:
    """Fetch or make a set unless it is there. Raises UserError saying what is missing and where it belongs."""
    root = set_folder(dataset, places.data)
    assert root is not None
    if is_present(dataset, places):
        return
    source = source_of(dataset.source, "dataset") if dataset.source else None
    if isinstance(source, ByHandSource):
        raise UserError(_by_hand(source, root))
    # Another lock than that of unpacking into the same folder.
    with locked(root.with_name(f"{root.name}.set"), report):
        if is_present(dataset, places):
            return
        _refuse_half(dataset, root)
        if isinstance(source, ArchiveSource):
            _unpack_archives(source, root, places, report)
        else:
            _make_beside(dataset, source, root, places, report)


def _by_hand(source: ByHandSource, root: Path) -> str:
    folders = " and ".join(str(root / side) for side in source.sides if not is_filled(root / side))
    return (
        f"{folders}: no photos there; {source.title} ({source.photos} photos) cannot be fetched by a program: get it "
        f"at {source.page} and put it there, or name its place (`--config data_folder=DIR`, `tvqsr fetch "
        f"--data-folder DIR`)"
    )


def _refuse_half(dataset: DatasetSpec, root: Path) -> None:
    """Photos of the user's own are never mixed with fetched ones."""
    filled = [side for side in SIDES if is_filled(root / side)]
    if filled and not (root / RECORD).is_file():
        lacking = " and ".join(side for side in sides_of(dataset) if side not in filled)
        raise UserError(
            f"{root}: holds {filled[0]} and no {lacking}; put that there, or move all of it away to fetch it"
        )


def _unpack_archives(source: ArchiveSource, root: Path, places: Places, report: Report) -> None:
    """HR and LR out of their archives, each fetched unless it is there.

    The record comes first: photos with a record are a program's, and a killed one goes on with what is missing. What
    cannot be unpacked takes the record back, and the trust in an archive that no published hash speaks for.
    """
    from tvqsr.fetch.record import FIRST_USE, read_record, record_path
    from tvqsr.fetch.unpack import unpack

    archives = {side: _any_archive(source, side, root, places, report) for side in source.sides}
    records = {path.name: read_record(path) for path in archives.values()}
    kept = {
        file: {key: getattr(record, key) for key in KEPT if getattr(record, key) is not None}
        for file, record in records.items()
        if record
    }
    root.mkdir(parents=True, exist_ok=True)
    swap_json(root / RECORD, {"title": source.title, "archives": kept})
    for path in dict.fromkeys(archives.values()):
        members: dict[str, str] = {side: source.members(side)[path.name] for side in archives if archives[side] == path}
        try:
            unpack(path, root, members, report)
        except UserError:
            if (record := records[path.name]) and record.trust == FIRST_USE:
                record_path(path).unlink(missing_ok=True)
            if not any(is_filled(root / side) for side in SIDES):
                shutil.rmtree(root)
            raise


def _any_archive(source: ArchiveSource, side: Side, root: Path, places: Places, report: Report) -> Path:
    """An archive that has a side's photos: one that is here, or else the first that can be fetched."""
    from tvqsr.fetch.archive import fetch_archive

    files = sorted(source.members(side), key=lambda file: not (places.archives / file).is_file())
    failures = []
    for file in files:
        try:
            return fetch_archive(file, source.archives[file], places.archives, report)
        except UserError as error:
            failures.append(str(error))
    raise UserError(f"{'; or '.join(failures)}; or put the photos themselves into {root / side}")


def _make_beside(dataset: DatasetSpec, source: Source | None, root: Path, places: Places, report: Report) -> None:
    """A set that is made photo by photo, in a folder beside that is renamed when it is whole.

    What a killed process left there is gone on with. Raises UserError if photos taken from the Hub are others than
    those that an earlier record tells of.
    """
    beside = root.with_name(f".{root.name}.part")
    origin = _made(dataset, source, root, beside, places, report)
    known = read_json(root / RECORD) if (root / RECORD).is_file() else {}
    if known.get("sha256_of_all", origin.get("sha256_of_all")) != origin.get("sha256_of_all"):
        shutil.rmtree(beside)
        raise UserError(f"{root / RECORD}: tells of other photos than are there now; delete it to trust the new ones")
    swap_json(beside / RECORD, {"title": source.title if source else hub_title(dataset), **origin})
    shutil.rmtree(root, ignore_errors=True)
    beside.rename(root)


def _made(
    dataset: DatasetSpec, source: Source | None, root: Path, beside: Path, places: Places, report: Report
) -> dict[str, Any]:
    """Put a set's folders below `beside`; returns what its record tells."""
    if isinstance(source, ImagenetTestSource):
        shutil.rmtree(beside, ignore_errors=True)
        return _selected(source, beside, places, report)
    from tvqsr.data.hub import write_hub_photos

    hub = source.hub if isinstance(source, HubSource) else dataset.hub
    assert hub is not None
    gated = isinstance(source, HubSource) and source.gated
    return {"hub": hub.model_dump(mode="json"), **write_hub_photos(hub, beside, root, gated, report)}


def _selected(source: ImagenetTestSource, beside: Path, places: Places, report: Report) -> dict[str, Any]:
    from tvqsr.data.imagenet_test import write_imagenet_test
    from tvqsr.data.sources import obtain

    photos = obtain(DatasetSpec(source=source.of), places, report)
    expected = source_of(source.of, "dataset").photos
    if len(photos.hr) != expected:
        raise UserError(
            f"{photos.title}: {len(photos.hr)} photos found, {expected} expected; the selection of {source.title} "
            f"would be another one; complete the set first"
        )
    write_imagenet_test(list(photos.hr.values()), source.photos, beside / SIDES[0], report)
    return {"of": source.of, "origin": photos.origin}
