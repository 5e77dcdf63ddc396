"""The X_down auto-encoder: it shows the structure features what an image shrunk by 8 holds.

TVQ&RAP, section 3.2; released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import Down, Up


def x_down(hr: Tensor) -> Tensor:
    """HR in [0, 1] (B, 3, H, W) -> its means over 8 x 8 blocks, rounded to 8 bits, in [-1, 1] (B, 3, H/8, W/8).

    OpenCV's INTER_AREA for a whole factor.
    """
    return torch.round(F.avg_pool2d(hr, 8) * 255) / 127.5 - 1


class XDownEncoder(nn.Sequential):
    """X_down in [-1, 1] (B, 3, H/8, W/8) -> F_down, the shape of F^L: (B, out_channels, H/32, W/32) as published."""

    def __init__(self, shape: Shape, out_channels: int) -> None:
        w = shape.width
        layers: list[nn.Module] = [nn.Conv2d(3, w, 3, padding=1)]
        for _ in range(shape.structure_halvings):
            layers += [shape.res(w, w, shape.depth), Down(w, bias=True)]
            w = 2 * w
        super().__init__(*layers, shape.res(w, out_channels), shape.res(out_channels, out_channels))


class XDownDecoder(nn.Sequential):
    """F_down, (B, in_channels, H/32, W/32) as published -> X_down in nominal [-1, 1] (B, 3, H/8, W/8)."""

    def __init__(self, shape: Shape, in_channels: int) -> None:
        c, w = in_channels, shape.width
        layers: list[nn.Module] = [nn.Conv2d(c, c, 3, padding=1)]
        for _ in range(shape.structure_halvings):
            layers += [shape.res(c, c, shape.depth), Up(c)]
        super().__init__(*layers, shape.res(c, w), shape.res(w, w), shape.out(w, 3))
