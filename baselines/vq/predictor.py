"""The predictor of vanilla VQ, and what carries its features round the codebook in the control `skip`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from tvqsr.nn.blocks import NormKind
from tvqsr.nn.index_predictor import IndexHead, Logits, LrEncoder
from tvqsr.nn.initialise import ResidualInit, start_residuals
from tvqsr.nn.vq_settings import VqSettings


@dataclass(frozen=True)
class PredictorSettings:
    """Settings of the stage `predictor`. Widths are the tokenizer's."""

    depth: int
    norm: NormKind
    heads: int
    window: int
    swin_depth: int
    residual_init: ResidualInit
    index_weight: float


class Predictor(nn.Module):
    """LR in [-1, 1] (B, 3, h, w), sides multiples of 2 -> code logits at h/2 x w/2, see `IndexHead`."""

    def __init__(self, settings: PredictorSettings, tokenizer: VqSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = replace(
            tokenizer.shape, depth=settings.depth, norm=settings.norm, heads=settings.heads, window=settings.window
        )
        self.lr_encoder = LrEncoder(shape, settings.swin_depth)
        self.head = IndexHead(shape, 4 * tokenizer.width, settings.swin_depth, tokenizer.codebooks)
        start_residuals(self, settings.residual_init)

    def forward(self, lr: Tensor) -> Logits:
        return self.head(self.lr_encoder(lr))


class Skips(nn.Module):
    """Connections from the LR encoder into the decoder: 1x1 convolutions that start at zero, so images start unchanged.

    One for each resolution that both have.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.at_quarter = nn.Conv2d(2 * width, 4 * width, 1)
        self.at_eighth = nn.Conv2d(4 * width, 4 * width, 1)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, at_lr: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """Features of `LrEncoder.levels` -> what to add in the decoder, (B, 4 width, H/4, W/4) and (.., H/8, W/8)."""
        return self.at_quarter(at_lr), self.at_eighth(texture)
