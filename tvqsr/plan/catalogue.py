"""The catalogue of public photos, `tvqsr/data/sources.yaml`, and where the photos of a data set lie."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.plan.folders import folder_listing
from tvqsr.plan.method import PACKAGE
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.schema import parse, read_yaml, suggestion
from tvqsr.plan.source import (
    KINDS,
    ArchiveSource,
    HubSet,
    HubSource,
    ImagenetTestSource,
    Side,
    SkimageSource,
    Source,
    UnionSource,
)

CATALOGUE = PACKAGE / "data" / "sources.yaml"
RECORD = "set.json"
"""What lies in the folder of a set that a program put there: where its photos came from."""


@cache
def catalogue() -> dict[str, Source]:
    """All named sources. Raises UserError if the catalogue is damaged."""
    sources: dict[str, Source] = {}
    for name, value in read_yaml(CATALOGUE).items():
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind not in KINDS:
            raise UserError(f"{CATALOGUE}: {name}: unknown kind `{kind}`{suggestion(str(kind), KINDS)}")
        sources[name] = parse(KINDS[kind], value, f"{CATALOGUE}: {name}")
    return sources


def source_of(name: str, where: str) -> Source:
    """A source by name. Raises UserError for an unknown one."""
    if name not in catalogue():
        raise UserError(f"{where}: unknown source `{name}`{suggestion(name, catalogue())}")
    return catalogue()[name]


def parts_of(name: str) -> tuple[str, ...]:
    """The sources that a source's photos are taken from: itself, or those of a union or a selection."""
    source = source_of(name, "source")
    of = (
        source.of if isinstance(source, UnionSource) else (source.of,) if isinstance(source, ImagenetTestSource) else ()
    )
    return tuple(part for inner in of for part in parts_of(inner)) or (name,)


def dataset_identity(dataset: DatasetSpec, where: str) -> dict[str, Any]:
    """What makes a dataset the same dataset: its photos (not where they lie), and how LR is made of them."""
    if dataset.source:
        photos: Any = _identity(dataset.source, where)
    elif dataset.hub:
        photos = dataset.hub.model_dump(mode="json")
    else:
        photos = [folder_listing(Path(folder)) for folder in (dataset.folder, dataset.lr_folder) if folder]
    cut = {} if dataset.multiple == DatasetSpec.model_fields["multiple"].default else {"multiple": dataset.multiple}
    return {"photos": photos, "degradation": dataset.degradation, "store": dataset.store} | cut


def _identity(name: str, where: str) -> Any:
    source = source_of(name, where)
    if isinstance(source, SkimageSource):
        return sorted(source.files)
    if isinstance(source, ArchiveSource):
        # One without a published hash is planned before it is there: its name stands for it.
        hashes = {file: spec.sha256 or spec.md5 or file for file, spec in source.archives.items()}
        return {"archives": hashes, "hr": source.hr, "lr": source.lr}
    if isinstance(source, HubSource):
        return source.hub.model_dump(mode="json")
    if isinstance(source, UnionSource):
        return [_identity(part, where) for part in source.of]
    return name


def set_folder(dataset: DatasetSpec, data_folder: str) -> Path | None:
    """Where photos lie that are fetched, or put in their place by hand; None for what lies elsewhere."""
    if dataset.hub:
        return Path(data_folder) / "hub" / hub_name(dataset.hub)
    if dataset.source is None or isinstance(source_of(dataset.source, "dataset"), SkimageSource | UnionSource):
        return None
    return Path(data_folder) / dataset.source


def hub_name(hub: HubSet) -> str:
    """A folder's name for a data set of the Hub: its own, and the digest of what is taken from it."""
    taken = hashlib.sha256(json.dumps(hub.model_dump(mode="json")).encode()).hexdigest()[:8]
    return f"{Path(hub.name).name}-{hub.split}-{taken}"


def hub_title(dataset: DatasetSpec) -> str:
    """What to call a data set of the Hub that is no source of the catalogue."""
    assert dataset.hub is not None
    return f"{dataset.hub.name}, split {dataset.hub.split}"


def sides_of(dataset: DatasetSpec) -> tuple[Side, ...]:
    """Which of HR and LR a data set has of its own."""
    if dataset.source:
        return source_of(dataset.source, "dataset").sides
    if dataset.hub:
        return dataset.hub.sides
    given: tuple[tuple[Side, str | None], ...] = (("HR", dataset.folder), ("LR", dataset.lr_folder))
    return tuple(side for side, folder in given if folder)


def photo_folders(dataset: DatasetSpec, data_folder: str) -> dict[Side, Path]:
    """Folders of HR and of LR; none for photos inside a package or spread over several sets."""
    if not dataset.source and not dataset.hub:
        given: tuple[tuple[Side, str | None], ...] = (("HR", dataset.folder), ("LR", dataset.lr_folder))
        return {side: Path(folder) for side, folder in given if folder}
    root = set_folder(dataset, data_folder)
    return {side: root / side for side in sides_of(dataset)} if root else {}


def own_folders(dataset: DatasetSpec, data_folder: str) -> list[Path]:
    """Folders of photos that the user put there and may change: not those that a record says where they came from."""
    parts = [DatasetSpec(source=part) for part in parts_of(dataset.source)] if dataset.source else [dataset]
    own = [part for part in parts if not ((root := set_folder(part, data_folder)) and (root / RECORD).is_file())]
    return [folder for part in own for folder in photo_folders(part, data_folder).values() if folder.is_dir()]


def overlap(one: DatasetSpec, other: DatasetSpec, data_folder: str) -> bool:
    """Whether two sets share photos, as far as their places tell: a common source, or a folder in the other's.

    What they tell is known before anything is fetched; the photos themselves are compared by `tvqsr.data.overlap`.
    """
    if one.source and other.source and _taken(one.source) & _taken(other.source):
        return True
    if one.hub and one.hub == other.hub:
        return True
    mine, theirs = ([folder.resolve() for folder in photo_folders(spec, data_folder).values()] for spec in (one, other))
    return any(a.is_relative_to(b) or b.is_relative_to(a) for a in mine for b in theirs)


def _taken(name: str) -> set[str]:
    """What a source's photos are taken from: its parts, and which members of which archives are their HR."""
    parts = parts_of(name)
    sources = [source for part in parts if isinstance(source := catalogue()[part], ArchiveSource)]
    return {*parts, *(f"{file}: {members}" for source in sources for file, members in source.hr.items())}


def has_hr(dataset: DatasetSpec) -> bool:
    """Whether a set has HR to compare with."""
    return "HR" in sides_of(dataset)
