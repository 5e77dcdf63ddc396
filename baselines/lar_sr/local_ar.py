"""LAR-SR's local autoregressive module (CVPR 2022, section 3.3, and released code).

The map of codes is cut into patches of 4 x 4 positions. The positions of a patch are told one after the other, row by
row, in all patches at once: each is given SR0, the positions before it in its own patch, and, since convolutions run
over patches, those before it in patches near by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.across import BatchNorm2d, Dropout

PATCH = 4
POSITIONS = PATCH**2
HR_MULTIPLE = 16
"""HR sides are multiples of this: of the U-Net's four halvings; patches, of 8 pixels, go into it."""

Choose = Callable[[int, Tensor], Tensor]
"""(position in the patch, logits (B, K, h, w)) -> indices (B, h, w) to go on with."""


@dataclass(frozen=True)
class LocalArSettings:
    """Settings of the stage `lar`; the published values are in `method.yaml`."""

    channels: int
    blocks: int
    dropout: float
    argmax_share: float


class ResBlock(nn.Module):
    """Dropout, 3x3 convolution, ReLU, batch norm, 3x3 convolution, residual: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.body = nn.Sequential(
            *(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU(), BatchNorm2d(in_channels)),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(x)
        return self.shortcut(x) + self.body(x)


class UNet(nn.Module):
    """SR0 (B, 3, H, W) -> features (B, channels, H, W); four halvings by max pooling, of as many channels."""

    HALVINGS = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        levels = range(self.HALVINGS)
        self.top = ResBlock(3, channels)
        self.down = nn.ModuleList(ResBlock(channels, channels) for _ in levels)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(channels, channels, 2, stride=2) for _ in levels)
        self.up = nn.ModuleList(ResBlock(2 * channels, channels) for _ in levels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, sr: Tensor) -> Tensor:
        x = self.top(sr)
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(F.max_pool2d(x, 2))
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([grow(x), skips.pop()], dim=1))
        return self.out(x)


class Gate(nn.Module):
    """One block over the positions of patches: the new feature of a position is made of those up to it.

    Each position has weights of its own: a residual block over the map of every position that it sees, then two 1x1
    convolutions over all of these.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.within = nn.ModuleList(ResBlock(channels, channels, dropout) for _ in range(POSITIONS))
        self.across = nn.ModuleList(
            nn.Sequential(
                *(nn.Conv2d((i + 1) * channels, channels, 1), Dropout(dropout), nn.ELU()),
                nn.Conv2d(channels, channels, 1),
            )
            for i in range(POSITIONS)
        )

    def forward(self, seen: list[Tensor]) -> Tensor:
        """Features of the positions up to one, each (B, C, h, w) -> that one's new feature (B, C, h, w)."""
        last = len(seen) - 1
        maps = torch.stack(seen, dim=1)
        each = self.within[last](maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return self.across[last](each.flatten(1, 2))


def _mlp(*channels: int) -> nn.Sequential:
    """1x1 convolutions with ELU between."""
    layers: list[nn.Module] = []
    for given, made in pairwise(channels):
        layers += [nn.Conv2d(given, made, 1), nn.ELU()]
    return nn.Sequential(*layers[:-1])


class LocalAr(nn.Module):
    """SR0 in [0, 1] (B, 3, H, W), sides multiples of 16 -> codes at half its size, (B, H/2, W/2), out of `size`."""

    def __init__(self, settings: LocalArSettings, size: int) -> None:
        super().__init__()
        c = settings.channels
        self.sr_encoder = nn.Sequential(UNet(c), nn.Conv2d(c, c, 4, stride=2, padding=1))
        self.start = nn.Sequential(
            *(nn.Conv2d(c, c, 3, padding=1), nn.ELU()),
            *(nn.Conv2d(c, c, 4, stride=2, padding=1), nn.ELU(), nn.Conv2d(c, c, 1)),
            *(nn.Conv2d(c, c, 4, stride=2, padding=1), nn.ELU(), nn.Conv2d(c, c, 1)),
        )
        self.embedding = nn.Embedding(size, c)
        nn.init.uniform_(self.embedding.weight, -(size**-0.5), size**-0.5)
        self.code = nn.Sequential(nn.ELU(), nn.Conv2d(c, c, 1))
        self.merge = _mlp(2 * c, c, c, c)
        self.gates = nn.ModuleList(Gate(c, settings.dropout) for _ in range(settings.blocks))
        self.head = _mlp(2 * c, c, c, size)

    def forward(self, sr: Tensor, indices: Tensor) -> Tensor:
        """Logits (B, K, H/2, W/2) of each position, given the true indices (B, H/2, W/2) of those before it."""
        truth = to_positions(indices.unsqueeze(1))
        logits = self._walk(sr, lambda position, _: truth[position].squeeze(1))[1]
        return from_positions(logits)

    def sample(self, sr: Tensor, choose: Choose) -> Tensor:
        """Indices (B, H/2, W/2), each chosen from its logits given those chosen before it."""
        chosen = self._walk(sr, choose)[0]
        return from_positions([index.unsqueeze(1) for index in chosen]).squeeze(1)

    def _walk(self, sr: Tensor, choose: Choose) -> tuple[list[Tensor], list[Tensor]]:
        """Indices (B, h, w) and logits (B, K, h, w) of the positions of all patches, one after the other.

        What gates made of earlier positions does not change with later ones, so it is kept.
        """
        features = self.sr_encoder(sr)
        at = to_positions(features)
        x = self.start(features)
        seen: list[list[Tensor]] = [[] for _ in self.gates]
        indices: list[Tensor] = []
        logits: list[Tensor] = []
        for position in range(POSITIONS):
            for gate, before in zip(self.gates, seen, strict=True):
                before.append(x)
                x = gate(before)
            logits.append(self.head(torch.cat([x, at[position]], dim=1)))
            indices.append(choose(position, logits[-1]))
            code = self.code(self.embedding(indices[-1]).permute(0, 3, 1, 2))
            x = self.merge(torch.cat([code, at[position]], dim=1))
        return indices, logits


def to_positions(x: Tensor) -> list[Tensor]:
    """(B, C, 4h, 4w) -> for each position of a patch, row by row, its map over patches (B, C, h, w)."""
    parts = F.pixel_unshuffle(x, PATCH).unflatten(1, (x.shape[1], POSITIONS))
    return list(parts.unbind(dim=2))


def from_positions(parts: list[Tensor]) -> Tensor:
    """The inverse of `to_positions`."""
    return F.pixel_shuffle(torch.stack(parts, dim=2).flatten(1, 2), PATCH)
