"""The predictor of vanilla VQ."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from tvqsr.nn.blocks import NormKind
from tvqsr.nn.index_predictor import IndexHead, LrEncoder
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
    """LR in [-1, 1] (B, 3, h, w), sides multiples of 2 -> code logits (B, K, h/2, w/2)."""

    def __init__(self, settings: PredictorSettings, tokenizer: VqSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = replace(
            tokenizer.shape, depth=settings.depth, norm=settings.norm, heads=settings.heads, window=settings.window
        )
        self.lr_encoder = LrEncoder(shape, settings.swin_depth)
        self.head = IndexHead(shape, 4 * tokenizer.width, settings.swin_depth, tokenizer.codebook_size)
        start_residuals(self, settings.residual_init)

    def forward(self, lr: Tensor) -> Tensor:
        return self.head(self.lr_encoder(lr))
