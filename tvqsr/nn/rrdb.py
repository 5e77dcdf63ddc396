"""RRDBNet, the generator of ESRGAN and its descendants (arXiv 1809.00219, section 3.1).

Parameters are named as in the checkpoints that its authors released: `conv_first`, `body.0.rdb1.conv1`, `conv_body`,
`conv_up1`, `conv_up2`, `conv_hr`, `conv_last`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RESIDUAL = 0.2
"""What every residual branch is scaled by (section 3.1)."""
SLOPE = 0.2
"""Of the leaky ReLUs."""
SMALL_INIT = 0.1
"""What He's initialisation is scaled by in the dense blocks (section 3.1, "smaller initialization")."""


@dataclass(frozen=True)
class RrdbShape:
    """Channels of the trunk, number of its blocks, channels that each dense convolution adds."""

    width: int
    blocks: int
    growth: int


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees all before it: (B, C, H, W) -> the same, as a residual."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(width + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(width + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, padding=1)
        for part in self.children():
            start_small(part)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, F.leaky_relu(conv(seen), SLOPE)], dim=1)
        residual: Tensor = self.conv5(seen)
        return x + RESIDUAL * residual


class Rrdb(nn.Module):
    """Three dense blocks inside a residual: (B, C, H, W) -> the same."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return x + RESIDUAL * residual


class RrdbNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> SR (B, 3, 4h, 4w) in nominal [0, 1], not clamped.

    16.7 M parameters as published (64 channels, 23 blocks, growth 32).
    """

    def __init__(self, shape: RrdbShape) -> None:
        super().__init__()
        width = shape.width
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(Rrdb(width, shape.growth) for _ in range(shape.blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.conv_first(lr)
        features = shallow + self.conv_body(self.body(shallow))
        for conv in (self.conv_up1, self.conv_up2):
            larger = F.interpolate(features, scale_factor=2, mode="nearest")
            features = F.leaky_relu(conv(larger), SLOPE)
        sr: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(features), SLOPE))
        return sr


def start_small(part: nn.Module) -> None:
    """He's initialisation scaled by 0.1, biases zero."""
    assert isinstance(part, nn.Conv2d) and part.bias is not None
    nn.init.kaiming_normal_(part.weight)
    nn.init.zeros_(part.bias)
    with torch.no_grad():
        part.weight *= SMALL_INIT
