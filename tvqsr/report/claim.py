"""A claim, as `claims.yaml` beside a method states it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tvqsr.errors import UserError
from tvqsr.plan.method import Method
from tvqsr.plan.schema import Strict, parse, read_yaml


class ClaimSource(Strict):
    """Where a claim was read, and how far to trust that place."""

    url: str
    place: str
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
    reported: dict[str, float | None] = {}
    """Entry -> published number; null where the paper has one that no source at hand tells; empty where it has none."""
    better: str | None = None
    worse: str | None = None
    hardware: str | None = None
    """The machine that a number holds for: part of its GPU's name. On another one the number is not judged."""
    tolerance: float | None = None
    """How far a reproduced value may lie from the published one."""


def claims_of(method: Method) -> list[Claim]:
    """Claims beside a method's `method.yaml`; none if there is no `claims.yaml`.

    Raises UserError naming file and key.
    """
    path = method.folder / "claims.yaml"
    if not path.is_file():
        return []
    entries = read_yaml(path).get("claims")
    if not isinstance(entries, list):
        raise UserError(f"{path}: expected a list under `claims`")
    return [parse(Claim, entry, f"{path}: claim {number}") for number, entry in enumerate(entries, 1)]
