"""AdaCode's networks on FeMaSR's frame (arXiv 2306.06513, section 3 and released code)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tvqsr.contract import Codebook, Indices
from tvqsr.errors import UserError
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import NormKind
from tvqsr.nn.femasr_frame import HqEncoder, ImageDecoder, LqEncoder, LqFeatures, SwinStacks
from tvqsr.nn.fixed_image_loss import FixedImageLossSettings
from tvqsr.nn.initialise import ResidualInit, start_residuals
from tvqsr.nn.quantize import Quantized, VectorQuantizer


@dataclass(frozen=True)
class BasesSettings(FixedImageLossSettings):
    """Settings of the stage `bases_and_mix`."""

    width: int
    depth: int
    norm: NormKind
    heads: int
    window: int
    stacks: int
    swin_depth: int
    residual_init: ResidualInit
    codebook_sizes: str
    code_channels: int
    quantize_from: int
    vq_weight: float
    semantic_weight: float
    discriminator_width: int

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.depth, self.norm, self.heads, self.window)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Size of each basis. Raises UserError for anything but whole numbers from 2."""
        words = self.codebook_sizes.split()
        if not words or not all(word.isdecimal() and int(word) >= 2 for word in words):
            raise UserError(
                f"codebook_sizes: expected whole numbers from 2, as in `512 256`, found `{self.codebook_sizes}`"
            )
        return tuple(int(word) for word in words)


@dataclass(frozen=True)
class SrSettings(FixedImageLossSettings):
    """Settings of the stage `sr`. Widths, depths and attention are those of `bases_and_mix`."""

    vq_weight: float
    fused_weight: float
    contrast_weight: float


class Mixed(NamedTuple):
    """What the bases make of features."""

    fused: Tensor
    """(B, 4 width, h, w), for the decoder."""
    to_quantize: tuple[Tensor, ...]
    """(B, code_channels, h, w) of each basis."""
    quantized: tuple[Quantized, ...]
    """Of each basis."""


class Projections(nn.ModuleList):
    """1x1 convolutions from the features to what each basis quantises."""

    def __init__(self, settings: BasesSettings) -> None:
        super().__init__(nn.Conv2d(4 * settings.width, settings.code_channels, 1) for _ in settings.sizes)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """(B, 4 width, h, w) -> (B, code_channels, h, w) for each basis."""
        return tuple(project(features) for project in self)


class MixPredictor(nn.Sequential):
    """Features (B, 4 width, h, w) -> weight of each basis at each position (B, K, h, w), of any sign and sum."""

    def __init__(self, settings: BasesSettings) -> None:
        stacks = SwinStacks(settings.shape, settings.stacks, settings.swin_depth)
        super().__init__(stacks, nn.Conv2d(4 * settings.width, len(settings.sizes), 1))


class Bases(nn.Module):
    """K codebooks, a 3x3 convolution after each, and the decoder of what they are mixed to."""

    def __init__(self, settings: BasesSettings) -> None:
        super().__init__()
        dim = settings.code_channels
        self.quantizers = nn.ModuleList(
            VectorQuantizer(size, dim, "textbook", settings.quantize_from) for size in settings.sizes
        )
        self.after = nn.ModuleList(nn.Conv2d(dim, 4 * settings.width, 3, padding=1) for _ in settings.sizes)
        self.decoder = ImageDecoder(settings.shape)

    def _each(self) -> list[VectorQuantizer]:
        return [quantizer for quantizer in self.quantizers if isinstance(quantizer, VectorQuantizer)]

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        return tuple(codebook for quantizer in self._each() for codebook in quantizer.codebooks)

    def indices(self, projected: tuple[Tensor, ...]) -> Indices:
        """Nearest codes in each basis."""
        return tuple(q.indices(z)[0] for q, z in zip(self._each(), projected, strict=True))

    def lookup(self, indices: Indices) -> tuple[Tensor, ...]:
        """Codes of each basis (B, code_channels, h, w)."""
        return tuple(q.lookup((index,)) for q, index in zip(self._each(), indices, strict=True))

    def mix(self, projected: tuple[Tensor, ...], weights: Tensor, step: int | None = None) -> Mixed:
        """Quantise in each basis, and sum what comes after with the weights (B, K, h, w)."""
        quantized: tuple[Quantized, ...] = tuple(q(z, step) for q, z in zip(self._each(), projected, strict=True))
        after = torch.stack([layer(part.codes) for layer, part in zip(self.after, quantized, strict=True)], dim=1)
        return Mixed((weights.unsqueeze(2) * after).sum(dim=1), projected, quantized)


class Tokenizer(nn.Module):
    """HR in [0, 1] (B, 3, H, W), sides multiples of 8 -> mixed codes at 1/8 -> HR."""

    def __init__(self, settings: BasesSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = HqEncoder(settings.shape)
        self.before, self.mix = Projections(settings), MixPredictor(settings)
        self.bases = Bases(settings)
        start_residuals(self, settings.residual_init)

    def encode(self, image: Tensor, step: int | None = None) -> tuple[Tensor, Mixed]:
        """Features before the codebooks, and what is mixed of them; `step` is the training step, None in inference."""
        features: Tensor = self.encoder(image)
        return features, self.bases.mix(self.before(features), self.mix(features), step)

    def indices(self, image: Tensor) -> Indices:
        """(B, 3, H, W) -> (B, H/8, W/8) int64 of each basis."""
        return self.bases.indices(self.before(self.encoder(image)))

    def forward(self, image: Tensor) -> Tensor:
        return self.bases.decoder(self.encode(image)[1].fused)


class LqNetwork(nn.Module):
    """LR in [0, 1] (B, 3, h, w), sides even -> features, what to quantise, and the weights of the mix."""

    def __init__(self, settings: BasesSettings) -> None:
        super().__init__()
        self.window = settings.window
        self.encoder = LqEncoder(settings.shape, settings.stacks, settings.swin_depth)
        self.before, self.mix = Projections(settings), MixPredictor(settings)
        start_residuals(self, settings.residual_init)

    def forward(self, lr: Tensor, bases: Bases) -> tuple[LqFeatures, Mixed]:
        features: LqFeatures = self.encoder(lr)
        return features, bases.mix(self.before(features.at_eighth), self.mix(features.at_eighth))
