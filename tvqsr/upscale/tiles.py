"""Images larger than memory allows, tile by tile: neighbours overlap and fade into one another."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from tvqsr.fetch.progress import Steps
from tvqsr.memory import KeptBetweenParts, give_back_freed_memory
from tvqsr.upscale.grid import grid, tiles_of
from tvqsr.upscale.padding import reflect_to_multiple


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
    Memory is that of a tile and of the result.
    """
    height, width = image.shape[-2:]
    large = reflect_to_multiple(image, multiple)
    side, overlap = grid(tile, multiple)
    rows, columns = (tiles_of(length, side, overlap) for length in large.shape[-2:])
    count = len(rows) * len(columns)
    told = steps(count)
    total, scale, kept = torch.empty(0), 1, KeptBetweenParts()
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
        del out
        kept.part_done()
        told.done()
    if count > 1:
        # So that the next image begins with as little as this one did.
        give_back_freed_memory()
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
