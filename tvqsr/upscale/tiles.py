"""Images larger than memory allows, tile by tile: neighbours overlap and fade into one another."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from tvqsr.fetch.progress import Steps
from tvqsr.upscale.padding import reflect_to_multiple

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


def tiled(
    network: Callable[[Tensor], Tensor],
    image: Tensor,
    multiple: int,
    tile: int,
    steps: Callable[[int], Steps],
) -> Tensor:
    """Apply an image-to-image network of any whole scale to (1, C, H, W) in tiles of about `tile` pixels a side.

    Where tiles overlap, their weights go linearly from one to the other. An image that fits into one tile is given as
    it is, padded. `steps` is asked, with their number, for what tells how far they are. The result is on the CPU.
    """
    height, width = image.shape[-2:]
    large = reflect_to_multiple(image, multiple)
    side, overlap = grid(tile, multiple)
    rows, columns = (tiles_of(length, side, overlap) for length in large.shape[-2:])
    told = steps(len(rows) * len(columns))
    total, scale = torch.empty(0), 1
    for (row, top), (column, left) in product(enumerate(rows), enumerate(columns)):
        part = large[..., top : top + side, left : left + side]
        out = network(part).cpu()
        if not total.numel():
            scale = out.shape[-1] // part.shape[-1]
            total = out.new_zeros(*out.shape[:2], *(length * scale for length in large.shape[-2:]))
        down = fade(rows, row, out.shape[-2], scale, side, overlap)
        across = fade(columns, column, out.shape[-1], scale, side, overlap)
        there = total[..., top * scale :, left * scale :][..., : out.shape[-2], : out.shape[-1]]
        there += out * (down[:, None] * across)
        told.done()
    return total[..., : height * scale, : width * scale]


def fade(starts: list[int], number: int, length: int, scale: int, tile: int, overlap: int) -> Tensor:
    """(length,) weights of a tile along a side of the output, which sum to one over all tiles.

    From tile to tile they go linearly, over half the overlap, in the middle of what two of them share: the part that is
    nearest to a tile's own border, where it knows least, does not count.
    """
    position = torch.arange(length) + 0.5 + starts[number] * scale

    def begun(which: int) -> Tensor:
        """Share that has gone over from the tile before to this one."""
        middle = (starts[which - 1] + tile + starts[which]) / 2 * scale
        return ((position - middle) / (overlap / 2 * scale) + 0.5).clamp(0, 1)

    weights = torch.ones(length) if number == 0 else begun(number)
    return weights if number == len(starts) - 1 else weights - begun(number + 1)
