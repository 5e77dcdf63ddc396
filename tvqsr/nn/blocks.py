"""Residual blocks and resampling of the TVQ&RAP networks (released code, arch files; facts in the paper's appendix)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NormKind = Literal["group", "channel"]
PaddingKind = Literal["zeros", "replicate"]
NormLayer = Callable[[int], nn.Module]


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position of a (B, C, H, W) map.

    No statistic crosses positions, so a crop and a whole photo are normed alike.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return y.permute(0, 3, 1, 2)


class GroupNorm(nn.GroupNorm):
    """torch's, with statistics that stay exact on large maps in inference: (B, C, H, W) -> the same.

    On a CPU, in channels-last layout, torch sums up a map's squares one by one in fp32: a relative error of 4e-6 for 64
    channels of 256 x 256, growing with the map. Two passes over means leave 6e-8. Trainings, on smaller maps, have
    torch's, since these have no backward pass as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        last = x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)
        if torch.is_grad_enabled() or not last:
            return super().forward(x)
        groups = (len(x), self.num_groups, -1)
        mean = x.mean(dim=(2, 3))
        variance = (x - mean[..., None, None]).square_().mean(dim=(2, 3)).view(groups)
        of_group = mean.view(groups).mean(dim=2, keepdim=True)
        off = mean.view(groups) - of_group
        spread = (variance + off.square()).mean(dim=2, keepdim=True)
        scale = self.weight.view(1, self.num_groups, -1) * torch.rsqrt(spread + self.eps)
        shift = self.bias.view(1, self.num_groups, -1) - of_group * scale
        each = (*x.shape[:2], 1, 1)
        return torch.addcmul(shift.reshape(each), x, scale.reshape(each))


def norm_layer(kind: NormKind) -> NormLayer:
    """Return the constructor of a norm by its kind.

    `group` is the published one (32 groups, eps 1e-6), `channel` is `ChannelNorm`.
    """
    if kind == "group":
        return lambda channels: GroupNorm(math.gcd(32, channels), channels, eps=1e-6)
    return ChannelNorm


class ResBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, with an identity or 1x1 shortcut: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, norm: NormLayer) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return self.shortcut(x) + y


class Down(nn.Sequential):
    """3x3 convolution to half the channels, then space to depth: (B, C, H, W) -> (B, 2C, H/2, W/2)."""

    def __init__(self, channels: int, bias: bool = False) -> None:
        super().__init__(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=bias), nn.PixelUnshuffle(2))


class Up(nn.Sequential):
    """Nearest x2, then a 3x3 convolution: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, channels, 3, padding=1))


def pad_with(module: nn.Module, kind: PaddingKind) -> None:
    """Let every 3x3 convolution of a module see the edge repeated (`replicate`) or zeros (published) beyond the border.

    On a 64-pixel crop the map at 1/32 has 2 x 2 positions, all of them at the border: with zeros a whole photo's inner
    positions would be a new experience at test time.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
            part.padding_mode = kind
