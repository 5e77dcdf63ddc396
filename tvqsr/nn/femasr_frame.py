"""Encoders and decoder of FeMaSR (arXiv 2202.13142, section 3.1 and released code), which AdaCode builds on.

`width` is 64 in the papers: channels are width, 2 width, 4 width and 4 width at H, H/2, H/4 and H/8.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tvqsr.nn.autoencoder import Shape


class LqFeatures(NamedTuple):
    """What an LR image gives the decoder.

    At H/8 (B, 4 width, h, w) to be quantised; at H/4 (B, 4 width, 2h, 2w) and H/2 (B, 2 width, 4h, 4w) as shortcuts.
    """

    at_eighth: Tensor
    at_quarter: Tensor
    at_half: Tensor


class HqEncoder(nn.Sequential):
    """HR in [0, 1] (B, 3, H, W), sides multiples of 8 -> features (B, 4 width, H/8, W/8).

    The 4x4 convolution at its head loses a row and a column, which the next one's stride absorbs (released code).
    """

    def __init__(self, shape: Shape) -> None:
        w = shape.width
        head = nn.Conv2d(3, w, 4, padding=1)
        super().__init__(head, *(_halved(shape, *sides) for sides in ((w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w))))


class SwinStacks(nn.Sequential):
    """SwinIR's residual Swin blocks in a row (B, dim, h, w) -> same: 4 of 6 layers in the papers."""

    def __init__(self, shape: Shape, stacks: int, swin_depth: int) -> None:
        super().__init__(*(shape.swin(4 * shape.width, swin_depth, conv=True) for _ in range(stacks)))


class LqEncoder(nn.Module):
    """LR in [0, 1] (B, 3, h, w), sides even -> features at H/8, H/4 and H/2 of the image four times as large."""

    def __init__(self, shape: Shape, stacks: int, swin_depth: int) -> None:
        super().__init__()
        c = 4 * shape.width
        self.down = nn.Sequential(nn.Conv2d(3, c, 4, padding=1), _halved(shape, c, c))
        self.swin = SwinStacks(shape, stacks, swin_depth)
        self.to_quarter = _doubled(shape, c, c)
        self.to_half = _doubled(shape, c, c // 2)

    def forward(self, lr: Tensor) -> LqFeatures:
        at_eighth = self.swin(self.down(lr))
        at_quarter = self.to_quarter(at_eighth)
        return LqFeatures(at_eighth, at_quarter, self.to_half(at_quarter))


class ImageDecoder(nn.Module):
    """Features (B, 4 width, H/8, W/8) -> image in nominal [0, 1], unclamped (B, 3, H, W).

    `shortcuts`, where given, add the LR encoder's features of the same size before the second and third level.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        w = shape.width
        self.to_quarter = _doubled(shape, 4 * w, 4 * w)
        self.to_half = _doubled(shape, 4 * w, 2 * w)
        self.to_whole = _doubled(shape, 2 * w, w)
        self.out = nn.Conv2d(w, 3, 3, padding=1)

    def forward(self, features: Tensor, shortcuts: LqFeatures | None = None) -> Tensor:
        x = self.to_quarter(features)
        x = self.to_half(x if shortcuts is None else x + shortcuts.at_quarter)
        x = self.to_whole(x if shortcuts is None else x + shortcuts.at_half)
        return self.out(x)


def _halved(shape: Shape, in_channels: int, out_channels: int) -> nn.Sequential:
    smaller = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
    return nn.Sequential(smaller, shape.res(out_channels, out_channels, shape.depth))


def _doubled(shape: Shape, in_channels: int, out_channels: int) -> nn.Sequential:
    larger = (nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return nn.Sequential(*larger, shape.res(out_channels, out_channels, shape.depth))


def mirrored(image: Tensor, unit: int) -> Tensor:
    """Extend (B, C, H, W) right and bottom to the next multiples of `unit`, always by at least one pixel.

    Mirrored with the edge pixel repeated: the released test path, which adds a whole unit to sides that are multiples.
    Images smaller than that are mirrored as often as it takes.
    """
    rows, columns = (_positions(side, unit).to(image.device) for side in image.shape[-2:])
    return image.index_select(-2, rows).index_select(-1, columns)


def _positions(length: int, unit: int) -> Tensor:
    """0 .. length - 1, then back from length - 1, and so on: positions of the samples up to the next multiple."""
    position = torch.arange((length // unit + 1) * unit) % (2 * length)
    return torch.where(position < length, position, 2 * length - 1 - position)
