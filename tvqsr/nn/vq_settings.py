"""Settings that every tokenizer of the texture auto-encoder's family shares: equal values make equal budgets."""

from __future__ import annotations

from dataclasses import dataclass

from tvqsr.contract import Codebook
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import NormKind
from tvqsr.nn.image_loss import ImageLossSettings
from tvqsr.nn.initialise import ResidualInit
from tvqsr.nn.quantize import LossConvention, Quantizer
from tvqsr.nn.quantizers import QuantizerKind, QuantizerSpec, new_quantizer


@dataclass(frozen=True)
class VqSettings(ImageLossSettings):
    """Encoder, decoder, codebook and losses; the paper's values are in the `method.yaml` of `tvqrap`."""

    width: int
    depth: int
    norm: NormKind
    heads: int
    window: int
    encoder_swin_depth: int
    swin_depth: int
    residual_init: ResidualInit
    quantizer: QuantizerKind
    codebook_size: int
    codebook_count: int
    quantize_from: int
    vq_loss: LossConvention
    vq_weight: float

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.depth, self.norm, self.heads, self.window)

    @property
    def hr_multiple(self) -> int:
        """HR sides are padded to multiples of this, in pixels: 32 windows, for the controls as for TVQ&RAP."""
        return 32 * self.window

    @property
    def quantizer_spec(self) -> QuantizerSpec:
        """The quantiser of features of 4 x width. Raises UserError where its settings do not go together."""
        return QuantizerSpec(
            self.quantizer, self.codebook_size, self.codebook_count, 4 * self.width, self.vq_loss, self.quantize_from
        )

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        """What a predictor has to tell."""
        return self.quantizer_spec.codebooks

    def new_quantizer(self) -> Quantizer:
        """The quantiser, not yet trained."""
        return new_quantizer(self.quantizer_spec)
