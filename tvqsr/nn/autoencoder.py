"""Parts of the texture tokenizer's encoder and decoder (TVQ&RAP, section 3 and released code).

`width` is 64 in the paper; all other widths follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tvqsr.nn.blocks import Down, NormKind, PaddingKind, ResBlock, Up, norm_layer, pad_with
from tvqsr.nn.swin import SwinStack


@dataclass(frozen=True)
class Shape:
    """Widths and depths that the parts share.

    `depth` is the number of residual blocks per level (2 in the paper, one more in the decoder).
    """

    width: int
    depth: int
    norm: NormKind
    heads: int
    window: int
    structure_channels: int = 64
    """Channels of F^L; the paper's 64 can hold the 48 samples of X_down (4 x 4 x 3) that a position stands for."""
    structure_scale: int = 32
    """F^L lies at H / this: 32, or 16 or 8 in the paper's ablation of the structure's resolution."""
    structure_padding: PaddingKind = "zeros"
    """Of the convolutions between F^H and F^L, and on the way back."""

    @property
    def structure_halvings(self) -> int:
        """How often F^H, and X_down, are halved to reach F^L: 2, 1 or 0 times."""
        return {32: 2, 16: 1, 8: 0}[self.structure_scale]

    def res(self, in_channels: int, out_channels: int, count: int = 1) -> nn.Sequential:
        """`count` residual blocks, the first of which changes the channels."""
        norm = norm_layer(self.norm)
        blocks = [ResBlock(in_channels if i == 0 else out_channels, out_channels, norm) for i in range(count)]
        return nn.Sequential(*blocks)

    def swin(self, dim: int, depth: int, conv: bool = False) -> SwinStack:
        return SwinStack(dim, depth, self.heads, self.window, conv)

    def mixed(self, in_channels: int, dim: int, swin_depth: int) -> nn.Sequential:
        """`depth` + 1 residual blocks with a plain Swin stack between each two."""
        layers: list[nn.Module] = [self.res(in_channels, dim)]
        for _ in range(self.depth):
            layers += [self.swin(dim, swin_depth), self.res(dim, dim)]
        return nn.Sequential(*layers)

    def out(self, in_channels: int, out_channels: int) -> nn.Sequential:
        """Closing norm and 3x3 convolution, with no activation between (released code)."""
        return nn.Sequential(norm_layer(self.norm)(in_channels), nn.Conv2d(in_channels, out_channels, 3, padding=1))


class TextureEncoder(nn.Sequential):
    """HR image in [-1, 1] (B, 3, H, W) -> texture features F^H (B, 4 width, H/8, W/8)."""

    def __init__(self, shape: Shape, swin_depth: int) -> None:
        w, n = shape.width, shape.depth
        super().__init__(
            nn.Conv2d(3, w, 3, padding=1),
            *(shape.res(w, w, n), Down(w)),
            *(shape.res(2 * w, 2 * w, n), Down(2 * w)),
            *(shape.res(4 * w, 2 * w, n), Down(2 * w)),
            *(shape.res(4 * w, 4 * w), shape.swin(4 * w, swin_depth), shape.res(4 * w, 4 * w)),
        )


class StructureEncoder(nn.Sequential):
    """F^H (B, 4 width, H/8, W/8) -> structure features F^L (B, structure_channels, H/32, W/32).

    At a finer `structure_scale` (H/16, H/8) the levels below it are left out.
    """

    def __init__(self, shape: Shape, swin_depth: int) -> None:
        w, n, s, halvings = shape.width, shape.depth, shape.structure_channels, shape.structure_halvings
        layers: list[nn.Module] = []
        if halvings >= 1:
            layers += [Down(4 * w), shape.res(8 * w, 4 * w), shape.swin(4 * w, swin_depth), shape.res(4 * w, 4 * w)]
        if halvings == 2:
            layers += [Down(4 * w)]
        layers += [shape.res(8 * w if halvings == 2 else 4 * w, 4 * w, n), shape.res(4 * w, 2 * w, n)]
        super().__init__(*layers, shape.res(2 * w, s, n + 1), shape.out(s, s))
        pad_with(self, shape.structure_padding)


class StructurePath(nn.Sequential):
    """F^L (B, structure_channels, H/32, W/32) -> structure map S (B, 4 width, H/8, W/8).

    From a finer `structure_scale` (H/16, H/8) it starts at that level.
    """

    def __init__(self, shape: Shape, swin_depth: int) -> None:
        w, n, s, halvings = shape.width, shape.depth, shape.structure_channels, shape.structure_halvings
        layers: list[nn.Module] = [nn.Conv2d(s, s, 3, padding=1), shape.res(s, s, 2 * n + 1)]
        if halvings == 2:
            layers += [Up(s)]
        if halvings >= 1:
            layers += [shape.mixed(s, 2 * w, swin_depth), Up(2 * w)]
        super().__init__(*layers, shape.res(2 * w if halvings >= 1 else s, 4 * w, n))
        pad_with(self, shape.structure_padding)


class Fusion(nn.Module):
    """The map that is quantised, (B, 4 width, H/8, W/8).

    From F^H and, where there is one, the structure map S (both of that shape): S goes first.
    """

    def __init__(self, shape: Shape, with_structure: bool) -> None:
        super().__init__()
        c = 4 * shape.width
        self.layers = nn.Sequential(shape.res(2 * c if with_structure else c, c, 2), shape.out(c, c))

    def forward(self, texture: Tensor, structure: Tensor | None = None) -> Tensor:
        return self.layers(texture if structure is None else torch.cat([structure, texture], dim=1))


class ImagePath(nn.Sequential):
    """Decoder input (B, 4 width, H/8, W/8) -> image in nominal [-1, 1], unclamped (B, 3, H, W).

    The input is the code, plus S where there is one.
    `at_quarter` (B, 4 width, H/4, W/4), where given, is added to the features before the residual blocks of that level.
    """

    def __init__(self, shape: Shape, swin_depth: int) -> None:
        w, n = shape.width, shape.depth
        super().__init__(
            *(shape.mixed(4 * w, 4 * w, swin_depth), Up(4 * w)),
            *(shape.res(4 * w, 2 * w, n + 1), Up(2 * w)),
            *(shape.res(2 * w, 2 * w, n + 1), Up(2 * w)),
            *(shape.res(2 * w, w, n + 1), shape.out(w, 3)),
        )

    def forward(self, x: Tensor, at_quarter: Tensor | None = None) -> Tensor:
        first, up, *rest = self
        x = up(first(x))
        x = x if at_quarter is None else x + at_quarter
        for layer in rest:
            x = layer(x)
        return x

    @property
    def last_weight(self) -> Tensor:
        """Weight of the last convolution: where the adaptive GAN weight is measured in stage 1."""
        closing = self[-1]
        assert isinstance(closing, nn.Sequential)
        last = closing[-1]
        assert isinstance(last, nn.Conv2d)
        return last.weight
