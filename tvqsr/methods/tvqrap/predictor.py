"""The predictor: LR -> structure features and code indices, decoded by the frozen tokenizer.

TVQ&RAP, section 3.3; released code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tvqsr.nn.blocks import NormKind, PaddingKind
from tvqsr.nn.index_predictor import IndexHead, Logits, LrEncoder, LrStructureEncoder
from tvqsr.nn.initialise import ResidualInit, start_residuals

from .tokenizer import TokenizerSettings


@dataclass(frozen=True)
class PredictorSettings:
    """Settings of the stage `predictor`; the paper's values are in `method.yaml`. Widths are the tokenizer's."""

    depth: int
    norm: NormKind
    heads: int
    window: int
    structure_padding: PaddingKind
    swin_depth: int
    residual_init: ResidualInit
    index_weight: float
    structure_weight: float


class Prediction(NamedTuple):
    """Predicted F^L (B, C, H/32, W/32), its structure map (B, 4 width, H/8, W/8), code logits at H/8 x W/8.

    32 stands for the tokenizer's `structure_scale`.
    """

    f_low: Tensor
    structure: Tensor
    logits: Logits


class Predictor(nn.Module):
    """LR in [-1, 1] (B, 3, h, w), sides multiples of `structure_scale` / 4 -> `Prediction`.

    It goes by way of the tokenizer's frozen structure path.
    The widths are those of the tokenizer, whose F^L and S it predicts.
    """

    def __init__(self, settings: PredictorSettings, tokenizer: TokenizerSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = replace(
            tokenizer.shape,
            depth=settings.depth,
            norm=settings.norm,
            heads=settings.heads,
            window=settings.window,
            structure_padding=settings.structure_padding,
        )
        self.lr_encoder = LrEncoder(shape, settings.swin_depth)
        self.structure_encoder = LrStructureEncoder(shape)
        self.head = IndexHead(shape, 8 * tokenizer.width, settings.swin_depth, tokenizer.codebooks)
        start_residuals(self, settings.residual_init)

    def forward(self, lr: Tensor, structure_path: nn.Module) -> Prediction:
        texture = self.lr_encoder(lr)
        f_low = self.structure_encoder(texture)
        structure = structure_path(f_low)
        # The index branch must not pull on the structure branch: S enters the head detached (released code).
        logits = self.head(torch.cat([structure.detach(), texture], dim=1))
        return Prediction(f_low, structure, logits)
