"""Where the tiles of a large image lie."""

from __future__ import annotations

TILE = 192
"""Side of a tile in pixels of the input, unless told otherwise: some 1.8 GB at TVQ&RAP's published size, on a CPU."""
LEAST_OVERLAP = 32
"""Pixels of the input that neighbours share at least."""


def tiles_of(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side: `overlap` or more is shared by neighbours; the last one ends where the side ends.

    >>> tiles_of(100, 40, 10)
    [0, 30, 60]
    """
    last = max(length - tile, 0)
    return [*range(0, last, tile - overlap), last]


def grid(tile: int, multiple: int) -> tuple[int, int]:
    """Tile and overlap in whole multiples of what a network wants, so that its windows lie where they would in whole.

    A tile is rounded down, but spans two multiples or more.
    """
    overlap = -(-LEAST_OVERLAP // multiple) * multiple
    return max(tile // multiple * multiple, 2 * overlap), overlap
