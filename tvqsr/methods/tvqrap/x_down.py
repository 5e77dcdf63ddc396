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
    """X_down in [-1, 1] (B, 3, H/8, W/8) -> F_down (B, out_channels, H/32, W/32), the shape of F^L."""

    def __init__(self, shape: Shape, out_channels: int) -> None:
        w, n = shape.width, shape.depth
        super().__init__(
            *(nn.Conv2d(3, w, 3, padding=1), shape.res(w, w, n), Down(w, bias=True)),
            *(shape.res(2 * w, 2 * w, n), Down(2 * w, bias=True)),
            *(shape.res(4 * w, out_channels), shape.res(out_channels, out_channels)),
        )


class XDownDecoder(nn.Sequential):
    """F_down (B, in_channels, H/32, W/32) -> X_down in nominal [-1, 1] (B, 3, H/8, W/8)."""

    def __init__(self, shape: Shape, in_channels: int) -> None:
        w, n = shape.width, shape.depth
        super().__init__(
            *(
                nn.Conv2d(in_channels, in_channels, 3, padding=1),
                shape.res(in_channels, in_channels, n),
                Up(in_channels),
            ),
            *(shape.res(in_channels, in_channels, n), Up(in_channels)),
            *(shape.res(in_channels, w), shape.res(w, w), shape.out(w, 3)),
        )
