"""Parts of the index predictor (TVQ&RAP, section 3.3 and released code).

LR image -> features at H/8 and F^L -> logits over the codebook.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import Down, pad_with

STRIDE = 8
"""HR pixels per position of the features that indices are predicted from, along each side."""


class LrEncoder(nn.Sequential):
    """LR in [-1, 1] (B, 3, h, w) -> texture features T at half its size, H/8 at x4 (B, 4 width, h/2, w/2)."""

    def __init__(self, shape: Shape, swin_depth: int) -> None:
        w, n = shape.width, shape.depth
        super().__init__(
            *(nn.Conv2d(3, w, 3, padding=1), shape.res(w, 2 * w, n + 1), Down(2 * w)),
            *(shape.res(4 * w, 4 * w, n), *(shape.swin(4 * w, swin_depth, conv=True) for _ in range(n))),
            shape.res(4 * w, 4 * w, n),
        )

    def levels(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Features at LR's own resolution (B, 2 width, h, w), and T."""
        first, widen, *rest = self
        at_lr = texture = widen(first(lr))
        for layer in rest:
            texture = layer(texture)
        return at_lr, texture


class LrStructureEncoder(nn.Sequential):
    """T (B, 4 width, H/8, W/8) -> predicted F^L (B, structure_channels, H/32, W/32).

    At a finer `structure_scale` (H/16, H/8) the levels below it are left out.
    """

    def __init__(self, shape: Shape) -> None:
        w, n, s, halvings = shape.width, shape.depth, shape.structure_channels, shape.structure_halvings
        layers: list[nn.Module] = []
        if halvings >= 1:
            layers += [Down(4 * w), shape.res(8 * w, 4 * w), shape.res(4 * w, 2 * w)]
        if halvings == 2:
            layers += [Down(2 * w), shape.res(4 * w, 4 * w), shape.res(4 * w, 2 * w)]
        layers += [shape.res(2 * w if halvings >= 1 else 4 * w, 2 * w), shape.res(2 * w, s, n + 1)]
        super().__init__(*layers)
        pad_with(self, shape.structure_padding)


Logits = tuple[Tensor, ...]
"""Logits over the codes of each codebook: (B, size, H / stride, W / stride)."""


class IndexHead(nn.Module):
    """Features at H/8 (B, in_channels, H/8, W/8) -> logits for each codebook.

    Residual and RSTB blocks, plain Swin stacks, layer norm, linear without bias. Several codebooks are predicted side
    by side, none given another's index.
    """

    def __init__(self, shape: Shape, in_channels: int, swin_depth: int, codebooks: tuple[Codebook, ...]) -> None:
        super().__init__()
        c = 4 * shape.width
        self.fuse = nn.Sequential(shape.res(in_channels, c), shape.swin(c, swin_depth, conv=True), shape.res(c, c))
        self.swin = nn.Sequential(*(shape.swin(c, swin_depth) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(c)
        self.codebooks = codebooks
        self.linear = nn.Linear(c, sum(codebook.size for codebook in codebooks), bias=False)

    def forward(self, features: Tensor) -> Logits:
        x = self.swin(self.fuse(features)).permute(0, 2, 3, 1)
        return split_logits(self.linear(self.norm(x)).permute(0, 3, 1, 2), self.codebooks)


def split_logits(logits: Tensor, codebooks: tuple[Codebook, ...]) -> Logits:
    """Logits over the codes of all codebooks (B, sum of sizes, H/8, W/8) -> those of each.

    Of a codebook coarser than H/8 they are means over its positions.
    """
    parts = logits.split([codebook.size for codebook in codebooks], dim=1)
    return tuple(
        F.avg_pool2d(part, codebook.stride // STRIDE) if codebook.stride > STRIDE else part
        for part, codebook in zip(parts, codebooks, strict=True)
    )


def likeliest(logits: Logits) -> Indices:
    """Indices of the largest logits."""
    return tuple(part.argmax(dim=1) for part in logits)


def index_loss(logits: Logits, indices: Indices) -> Tensor:
    """Cross-entropy in fp32, mean over the positions of a codebook and over codebooks: scalar."""
    losses = [F.cross_entropy(part.float(), truth) for part, truth in zip(logits, indices, strict=True)]
    return torch.stack(losses).mean()
