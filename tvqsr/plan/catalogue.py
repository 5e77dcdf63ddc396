"""The catalogue of public photos, `tvqsr/data/sources.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tvqsr.errors import UserError
from tvqsr.plan.folders import folder_listing
from tvqsr.plan.method import PACKAGE
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.schema import Strict, parse, read_yaml, suggestion

CATALOGUE = PACKAGE / "data" / "sources.yaml"


class SkimageSource(Strict):
    """Photos inside the installed scikit-image; `files` maps each to what it shows and who made it."""

    kind: Literal["scikit-image"]
    title: str
    licence: str
    files: dict[str, str]


class ArchiveSource(Strict):
    """A zip of photos, fetched once and checked."""

    kind: Literal["archive"]
    title: str
    licence: str
    url: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: int


class ByHandSource(Strict):
    """Photos that nobody may fetch without asking (a licence, a form): put by hand into `<data_folder>/<name>/`."""

    kind: Literal["by hand"]
    title: str
    licence: str
    url: str
    """Where to ask for them."""
    hr: str | None = None
    """Folder of HR below `<data_folder>/<name>/`; null for a set without HR."""
    lr: str | None = None
    """Folder of LR; null where LR is made of HR."""
    photos: int
    """How many there should be."""


Source = SkimageSource | ArchiveSource | ByHandSource
KINDS: dict[Any, type[SkimageSource | ArchiveSource | ByHandSource]] = {
    "scikit-image": SkimageSource,
    "archive": ArchiveSource,
    "by hand": ByHandSource,
}


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


def dataset_identity(dataset: DatasetSpec, where: str) -> dict[str, Any]:
    """What makes a dataset the same dataset: its photos (not where they lie), and how LR is made of them."""
    if dataset.source is None:
        photos: Any = [folder_listing(Path(folder)) for folder in (dataset.folder, dataset.lr_folder) if folder]
    else:
        source = source_of(dataset.source, where)
        if isinstance(source, SkimageSource):
            photos = sorted(source.files)
        else:
            # A set got by hand is planned before it is there: its name stands for it.
            photos = source.sha256 if isinstance(source, ArchiveSource) else dataset.source
    cut = {} if dataset.multiple == DatasetSpec.model_fields["multiple"].default else {"multiple": dataset.multiple}
    return {"photos": photos, "degradation": dataset.degradation, "store": dataset.store} | cut


def photo_folders(dataset: DatasetSpec, data_folder: str) -> tuple[Path | None, Path | None]:
    """Folders of HR and of LR that the user provides; None for what is fetched, made here, or does not exist."""
    if dataset.source is None:
        return Path(dataset.folder) if dataset.folder else None, Path(dataset.lr_folder) if dataset.lr_folder else None
    source = source_of(dataset.source, "dataset")
    if not isinstance(source, ByHandSource):
        return None, None
    root = Path(data_folder) / dataset.source
    return root / source.hr if source.hr else None, root / source.lr if source.lr else None


def overlap(one: DatasetSpec, other: DatasetSpec, data_folder: str) -> bool:
    """Whether two sets share photos, as far as their places tell: the same source, or a folder in the other's."""
    if one.source is not None and one.source == other.source:
        return True
    mine, theirs = (
        [folder.resolve() for folder in photo_folders(spec, data_folder) if folder] for spec in (one, other)
    )
    return any(a.is_relative_to(b) or b.is_relative_to(a) for a in mine for b in theirs)


def has_hr(dataset: DatasetSpec) -> bool:
    """Whether a set has HR to compare with."""
    if dataset.source is None:
        return dataset.folder is not None
    source = source_of(dataset.source, "dataset")
    return not isinstance(source, ByHandSource) or source.hr is not None
