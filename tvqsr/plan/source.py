"""Kinds of places that photos come from, as the catalogue declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tvqsr.plan.archive import ArchiveSpec
from tvqsr.plan.schema import Strict, tuple_of

Side = Literal["HR", "LR"]
"""Folders of a set: `<data_folder>/<set>/HR` and `LR`."""
SIDES: tuple[Side, ...] = ("HR", "LR")


class Described(Strict):
    """What every set tells of itself."""

    title: str
    licence: str
    page: str | None = None
    """Where its owners present it, and what they allow."""


class SkimageSource(Described):
    """Photos inside the installed scikit-image; `files` maps each to what it shows and who made it."""

    kind: Literal["scikit-image"]
    files: dict[str, str]

    @property
    def sides(self) -> tuple[Side, ...]:
        return ("HR",)

    @property
    def photos(self) -> int:
        return len(self.files)


class ArchiveSource(Described):
    """Photos in archives that can be fetched."""

    kind: Literal["archive"]
    archives: Annotated[dict[str, ArchiveSpec], Field(min_length=1)]
    """By file name; names are chosen here where an address has none."""
    about: str | None = None
    """Size of what is fetched, where the exact number of bytes is not published."""
    hr: dict[str, str] = {}
    """Which members of which archive are HR: `**/Test/4/{name}_HR.png`. Of several archives, any one will do, the first
    that is here or can be had. Empty for a set without HR."""
    lr: dict[str, str] = {}
    """Likewise of LR; empty where LR is made of HR."""
    photos: int
    """How many there should be."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return tuple(side for side, members in zip(SIDES, (self.hr, self.lr), strict=True) if members)

    def members(self, side: Side) -> dict[str, str]:
        """Pattern of a side's members in each archive that has them."""
        return self.hr if side == "HR" else self.lr


class HubSet(Strict):
    """An image data set that `datasets.load_dataset` opens: on the Hugging Face Hub, or a folder of Parquet files."""

    name: str
    """`owner/name`, or a folder."""
    config: str | None = None
    split: str = "train"
    column: str = "image"
    """Column of the photos: HR."""
    lr_column: str | None = None
    """Column of LR, where it is given."""
    name_column: str | None = None
    """Column of the photos' names; null: the file names inside `column`, or numbers where there are none."""
    revision: str | None = None
    """Commit, tag or branch; null: the newest."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return ("HR",) if self.lr_column is None else SIDES


class HubSource(Described):
    """Photos of a data set on the Hub."""

    kind: Literal["hub"]
    hub: HubSet
    gated: bool = False
    """Whether its owners ask to accept their terms first, logged in."""
    about: str | None = None
    photos: int

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.hub.sides


class UnionSource(Described):
    """Photos of several sets together."""

    kind: Literal["union"]
    of: Annotated[tuple[str, ...], BeforeValidator(tuple_of), Field(min_length=2)]
    photos: int

    @property
    def sides(self) -> tuple[Side, ...]:
        return ("HR",)


class ImagenetTestSource(Described):
    """ResShift's test photos, made anew of ImageNet's validation photos."""

    kind: Literal["imagenet-test"]
    of: str
    """The set that they are chosen from."""
    photos: int

    @property
    def sides(self) -> tuple[Side, ...]:
        return ("HR",)


class ByHandSource(Described):
    """Photos that no program can fetch (a form, a share without direct address): put into `<data_folder>/<set>/`."""

    kind: Literal["by hand"]
    holds: Annotated[tuple[Side, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    photos: int

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.holds


Source = SkimageSource | ArchiveSource | HubSource | UnionSource | ImagenetTestSource | ByHandSource
KINDS: dict[Any, type[Source]] = {
    "scikit-image": SkimageSource,
    "archive": ArchiveSource,
    "hub": HubSource,
    "union": UnionSource,
    "imagenet-test": ImagenetTestSource,
    "by hand": ByHandSource,
}
