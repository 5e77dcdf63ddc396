"""The catalogue of public photos, `tvqsr/data/sources.yaml`."""

from __future__ import annotations

from functools import cache
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


Source = SkimageSource | ArchiveSource


@cache
def catalogue() -> dict[str, Source]:
    """All named sources. Raises UserError if the catalogue is damaged."""
    kinds: dict[Any, type[SkimageSource | ArchiveSource]] = {"scikit-image": SkimageSource, "archive": ArchiveSource}
    sources: dict[str, Source] = {}
    for name, value in read_yaml(CATALOGUE).items():
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind not in kinds:
            raise UserError(f"{CATALOGUE}: {name}: unknown kind `{kind}`{suggestion(str(kind), kinds)}")
        sources[name] = parse(kinds[kind], value, f"{CATALOGUE}: {name}")
    return sources


def source_of(name: str, where: str) -> Source:
    """A source by name. Raises UserError for an unknown one."""
    if name not in catalogue():
        raise UserError(f"{where}: unknown source `{name}`{suggestion(name, catalogue())}")
    return catalogue()[name]


def dataset_identity(dataset: DatasetSpec, where: str) -> dict[str, Any]:
    """What makes a dataset the same dataset: where its photos come from, and how LR is made of them."""
    if dataset.folder is not None:
        photos: Any = {"folder": dataset.folder, "files": folder_listing(dataset.folder)}
    else:
        source = source_of(dataset.source or "", where)
        photos = sorted(source.files) if isinstance(source, SkimageSource) else source.sha256
    return {"photos": photos, "degradation": dataset.degradation}
