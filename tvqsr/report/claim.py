"""A claim: a number that somebody published, or an ordering of two entries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tvqsr.plan.schema import Number, Strict


class ClaimSource(Strict):
    """Where a claim was read, and how far to trust that place."""

    url: Annotated[str, Field(pattern=r"^\S+$")]
    place: Annotated[str, Field(pattern=r"^[^|]+$")]
    """The bar parts several sources in `claims.csv`."""
    trust: Literal["primary", "digest", "third party", "ours"]
    """`ours`: not published; our own question in place of one whose protocol cannot be computed everywhere."""


class Claim(Strict):
    """A number that somebody published, or an ordering of two entries. Entries are named as the presets name them."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    statement: str
    source: ClaimSource
    dataset: str
    """Where it was published on; a value is judged only there, an ordering on every test set that has its protocol."""
    protocol: str
    reported: dict[str, Number | None] = {}
    """Entry -> published number; null where the paper has one that no source at hand tells; empty where it has none."""
    better: str | None = None
    worse: str | None = None
    scale: Literal["paper", "any"] = "any"
    """Of what runs its ordering speaks: `paper`, only those of presets with `claims: values`. Values always do."""
    hardware: str | None = None
    """The machine that a number holds for: part of its GPU's name. On another one it is shown, but not judged."""
    tolerance: Number | None = None
    """How far a reproduced value may lie from the published one; of weights that others trained, see `tolerance_of`."""
    crop: Annotated[int, Field(ge=0)] | None = None
    """Border that the published number leaves out of the image, in HR pixels, where its source tells."""
    multiple: Annotated[int, Field(ge=1)] | None = None
    """What HR's sides were cut to multiples of for the published number, where that is not the usual 4."""
    differs: str | None = None
    """How the published protocol departs, or may depart, from the one named: the number is shown, but not judged."""
