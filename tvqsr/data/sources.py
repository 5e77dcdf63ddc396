"""The photos of a data set, made present and listed: a package's, the user's, or a set's that is fetched or made."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvqsr.data.fetched import make_present
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.catalogue import RECORD, hub_title, photo_folders, set_folder, source_of
from tvqsr.plan.folders import named_images, named_like
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import Side, SkimageSource, Source, UnionSource

Report = Callable[[str], None]


@dataclass(frozen=True)
class Photos:
    """What is known of a dataset, and its files by name: HR, LR, or both; where both, the names are equal.

    `origin` is what the record of a fetched set says of where it came from; empty for photos of the user's.
    """

    title: str
    licence: str
    hr: dict[str, Path]
    lr: dict[str, Path]
    origin: dict[str, Any] = field(default_factory=dict)


def obtain(dataset: DatasetSpec, places: Places, report: Report) -> Photos:
    """Make the photos of a dataset present, fetching what must be fetched, and list them.

    Raises UserError for what is missing, saying where it belongs.
    """
    if dataset.source is None and dataset.hub is None:
        return _listed(f"photos in {dataset.folder or dataset.lr_folder}", "the user's own", photo_folders(dataset, ""))
    source = source_of(dataset.source, "dataset") if dataset.source else None
    if isinstance(source, SkimageSource):
        return Photos(source.title, source.licence, _skimage_files(source), {})
    if isinstance(source, UnionSource):
        return _union(source, places, report)
    return _of_set(dataset, source, places, report)


def _of_set(dataset: DatasetSpec, source: Source | None, places: Places, report: Report) -> Photos:
    """Photos of a set that has a folder of its own."""
    root = set_folder(dataset, places.data)
    assert root is not None
    make_present(dataset, places, report)
    record = read_json(root / RECORD) if (root / RECORD).is_file() else {}
    title = source.title if source else hub_title(dataset)
    licence = source.licence if source else "see its page"
    found = _listed(title, licence, photo_folders(dataset, places.data), record)
    if source and (count := len(found.hr or found.lr)) != source.photos:
        report(f"{title}: {count} photos found, {source.photos} expected; scores will not be comparable")
    return found


def _union(source: UnionSource, places: Places, report: Report) -> Photos:
    """Photos of several sets, each under the name of its set, since two may use the same names."""
    parts = {name: obtain(DatasetSpec(source=name), places, report) for name in source.of}
    hr = {f"{name}__{photo}": file for name, part in parts.items() for photo, file in part.hr.items()}
    return Photos(source.title, source.licence, hr, {}, {name: part.origin for name, part in parts.items()})


def _listed(title: str, licence: str, folders: Mapping[Side, Path], origin: dict[str, Any] | None = None) -> Photos:
    """Photos of one or two folders. Raises UserError naming a file without partner.

    LR may be named like HR, or end in `x4` beyond that, as public sets have it.
    """
    hr, lr = (named_images(folders[side]) if side in folders else {} for side in ("HR", "LR"))
    if len(folders) == 2:
        lr = named_like(lr, hr)
        for ours, others, folder in ((hr, lr, folders["LR"]), (lr, hr, folders["HR"])):
            if alone := sorted(set(ours) - set(others)):
                raise UserError(f"{ours[alone[0]]}: has no partner of that name in {folder}")
    return Photos(title, licence, hr, lr, origin or {})


def _skimage_files(source: SkimageSource) -> dict[str, Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    version = importlib.metadata.version("scikit-image")
    for name in source.files:
        if not (folder / name).is_file():
            raise UserError(
                f"scikit-image {version} does not carry {name}; install the version that pyproject.toml names"
            )
    return {Path(name).stem: folder / name for name in sorted(source.files)}
