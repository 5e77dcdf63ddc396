"""Sets of photos that a program puts into the data folder: unpacked, taken from the Hub, or made of another set.

A set is made in a folder beside and renamed when it is whole; its record, `set.json`, says where it came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.fetch.lock import locked
from tvqsr.files import read_json, write_json
from tvqsr.plan.catalogue import RECORD, hub_title, set_folder, sides_of, source_of
from tvqsr.plan.places import Places, is_present
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import SIDES, ArchiveSource, HubSet, HubSource, ImagenetTestSource, Source

Report = Callable[[str], None]
KEPT = ("address", "bytes", "sha256", "md5", "trust")
"""Of an archive's record: what does not change from one fetching of the same file to the next."""


def make_present(dataset: DatasetSpec, places: Places, report: Report) -> None:
    """Fetch or make a set unless it is there. Raises UserError saying what is missing and where it belongs."""
    root = set_folder(dataset, places.data)
    assert root is not None
    # Another lock than that of unpacking into the same folder.
    with locked(root.with_name(f"{root.name}.set"), report):
        if is_present(dataset, places):
            return
        if root.exists() and any(root.iterdir()) and not (root / RECORD).is_file():
            wanted = " and ".join(sides_of(dataset))
            raise UserError(
                f"{root}: expected to hold {wanted}; put the photos there, or delete it to have them fetched"
            )
        source = source_of(dataset.source, "dataset") if dataset.source else None
        if isinstance(source, ArchiveSource):
            _unpack_archives(source, root, places, report)
        else:
            _make_beside(dataset, source, root, places, report)


def _unpack_archives(source: ArchiveSource, root: Path, places: Places, report: Report) -> None:
    """HR and LR of the archives, each fetched unless it is there.

    The record comes first: photos with a record are a program's, and a killed one goes on with what is missing.
    """
    from tvqsr.fetch.archive import fetch_archive
    from tvqsr.fetch.record import record_path
    from tvqsr.fetch.unpack import unpack

    files = {file: fetch_archive(file, spec, places.archives, report) for file, spec in source.archives.items()}
    records = {
        file: read_json(record_path(path)) if record_path(path).is_file() else {} for file, path in files.items()
    }
    kept = {file: {key: record[key] for key in KEPT if key in record} for file, record in records.items()}
    write_json(root / RECORD, {"title": source.title, "archives": kept})
    for file, path in files.items():
        if members := source.members(file):
            unpack(path, root, members, report)


def _make_beside(dataset: DatasetSpec, source: Source | None, root: Path, places: Places, report: Report) -> None:
    """A set that is made photo by photo, in a folder beside that is renamed when it is whole."""
    beside = root.with_name(f".{root.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        origin = _made(dataset, source, root, beside, places, report)
        write_json(beside / RECORD, {"title": source.title if source else hub_title(dataset), **origin})
        shutil.rmtree(root, ignore_errors=True)
        beside.rename(root)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _made(
    dataset: DatasetSpec, source: Source | None, root: Path, beside: Path, places: Places, report: Report
) -> dict[str, Any]:
    """Put a set's folders below `beside`; returns what its record tells."""
    if isinstance(source, ImagenetTestSource):
        return _selected(source, beside, places, report)
    hub = source.hub if isinstance(source, HubSource) else dataset.hub
    if hub is not None:
        return _from_hub(hub, source, root, beside, report)
    assert source is not None
    folders = " and ".join(str(root / side) for side in source.sides)
    raise UserError(
        f"{root}: no such folder; {source.title} ({source.photos} photos) cannot be fetched by a program: "
        f"get it at {source.page} and put it into {folders}, or name its place with `--config data_folder=DIR`"
    )


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


def _from_hub(hub: HubSet, source: Source | None, root: Path, beside: Path, report: Report) -> dict[str, Any]:
    from tvqsr.data.hub import write_hub_photos

    gated = isinstance(source, HubSource) and source.gated
    return {"hub": hub.model_dump(mode="json"), **write_hub_photos(hub, beside, root, gated, report)}
