"""Images of any size through networks that want whole multiples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def reflect_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Extend (B, C, H, W) right and bottom to multiples of `multiple`.

    Mirrored without repeating the edge pixel, as often as it takes.
    """
    height, width = image.shape[-2:]
    rows = _mirrored(height, -height % multiple).to(image.device)
    columns = _mirrored(width, -width % multiple).to(image.device)
    return image.index_select(-2, rows).index_select(-1, columns)


def _mirrored(length: int, extra: int) -> Tensor:
    """0 .. length-1, then back and forth: positions of `length + extra` samples."""
    period = max(2 * length - 2, 1)
    position = torch.arange(length + extra) % period
    return torch.where(position < length, position, period - position)


def padded(network: Callable[[Tensor], Tensor], image: Tensor, multiple: int) -> Tensor:
    """Apply an image-to-image network of any whole scale to an image of any size: padded before, cut after."""
    height, width = image.shape[-2:]
    large = reflect_to_multiple(image, multiple)
    out = network(large)
    return out[..., : height * out.shape[-2] // large.shape[-2], : width * out.shape[-1] // large.shape[-1]]
