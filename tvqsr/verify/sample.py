"""How much of what is dear is checked, and the draw."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """Of every entry, seed and test set: so many images, drawn with that seed, are checked in ways that are dear.

    By formulas, which are cheap, all are: nobody can alter those that are not drawn.
    """

    images: int
    """Scored again by networks."""
    seed: int
    remade: int = 0
    """Made again with the bundle's weights."""
    seconds: float = 0.0
    """Most time for that."""


def drawn(items: Sequence[T], of: str, seed: int, most: int) -> list[T]:
    """Another draw for each `of`, and the same whenever it is asked for."""
    chosen = list(items)
    random.Random(f"{seed} {of}").shuffle(chosen)  # noqa: S311 (images)
    return chosen[:most]
