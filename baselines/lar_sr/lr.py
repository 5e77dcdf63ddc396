"""LR of HR: what a reconstruction, which is given HR alone, has its SR0 of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def lr_of(hr: Tensor) -> Tensor:
    """LR of HR by bicubic, as test sets are made: (B, 3, H, W) in [0, 1], sides multiples of 4 -> (B, 3, H/4, W/4).

    MATLAB's `imresize` on 8-bit images: antialiased, mirrored at the border, rows and then columns, each rounded to
    8 bits.
    """
    with torch.autocast(hr.device.type, enabled=False):
        return _quarter_rows(_quarter_rows(hr.float()).transpose(2, 3)).transpose(2, 3)


def _quarter_rows(x: Tensor) -> Tensor:
    """(B, C, 4h, w) -> (B, C, h, w)."""
    reach = 8  # of the kernel, in rows
    mirrored = torch.cat([x[:, :, :reach].flip(2), x, x[:, :, -reach:].flip(2)], dim=2)
    small = F.interpolate(mirrored, scale_factor=(0.25, 1.0), mode="bicubic", antialias=True)
    return (255 * small[:, :, reach // 4 : -reach // 4]).round().clamp(0, 255) / 255
