"""FeMaSR's networks (arXiv 2202.13142, section 3 and released code)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from tvqsr.contract import Indices
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import NormKind
from tvqsr.nn.femasr_frame import HqEncoder, ImageDecoder, LqEncoder, LqFeatures
from tvqsr.nn.fixed_image_loss import FixedImageLossSettings
from tvqsr.nn.initialise import ResidualInit, start_residuals
from tvqsr.nn.quantize import Quantized, VectorQuantizer


@dataclass(frozen=True)
class HqSettings(FixedImageLossSettings):
    """Settings of the stage `hq`."""

    width: int
    depth: int
    norm: NormKind
    residual_init: ResidualInit
    codebook_size: int
    code_channels: int
    quantize_from: int
    vq_weight: float
    semantic_weight: float
    discriminator_width: int

    def shape(self, heads: int = 1, window: int = 1) -> Shape:
        """Widths and depths; `heads` and `window` are of attention, which only the LR encoder has."""
        return Shape(self.width, self.depth, self.norm, heads, window)


@dataclass(frozen=True)
class LqSettings(FixedImageLossSettings):
    """Settings of the stage `lq`. Widths and depths are the HQ networks'."""

    heads: int
    window: int
    stacks: int
    swin_depth: int
    residual_init: ResidualInit
    feature_weight: float


class Prior(nn.Module):
    """Codebook and decoder, learned from HR alone and frozen afterwards: the paper's high-resolution prior.

    Codes (B, code_channels, H/8, W/8) -> image in nominal [0, 1] (B, 3, H, W).
    """

    def __init__(self, settings: HqSettings) -> None:
        super().__init__()
        dim = settings.code_channels
        self.quantizer = VectorQuantizer(settings.codebook_size, dim, "textbook", settings.quantize_from)
        self.after = nn.Conv2d(dim, 4 * settings.width, 3, padding=1)
        self.decoder = ImageDecoder(settings.shape())

    def forward(self, codes: Tensor, shortcuts: LqFeatures | None = None) -> Tensor:
        return self.decoder(self.after(codes), shortcuts)


class Tokenizer(nn.Module):
    """HR in [0, 1] (B, 3, H, W), sides multiples of 8 -> codes at 1/8 -> HR."""

    def __init__(self, settings: HqSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = HqEncoder(settings.shape())
        self.before = nn.Conv2d(4 * settings.width, settings.code_channels, 1)
        self.prior = Prior(settings)
        start_residuals(self, settings.residual_init)

    def encode(self, image: Tensor, step: int | None = None) -> Quantized:
        """Quantised features; `step` is the training step, None in inference."""
        quantized: Quantized = self.prior.quantizer(self.before(self.encoder(image)), step)
        return quantized

    def indices(self, image: Tensor) -> Indices:
        """(B, 3, H, W) -> (B, H/8, W/8) int64, of the one codebook."""
        return self.prior.quantizer.indices(self.before(self.encoder(image)))

    def forward(self, image: Tensor) -> Tensor:
        return self.prior(self.encode(image).codes)


class LqNetwork(nn.Module):
    """LR in [0, 1] (B, 3, h, w), sides even -> what to quantise (B, code_channels, h/2, w/2), and the shortcuts."""

    def __init__(self, settings: LqSettings, hq: HqSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = LqEncoder(hq.shape(settings.heads, settings.window), settings.stacks, settings.swin_depth)
        self.before = nn.Conv2d(4 * hq.width, hq.code_channels, 1)
        start_residuals(self, settings.residual_init)

    def forward(self, lr: Tensor) -> tuple[Tensor, LqFeatures]:
        features: LqFeatures = self.encoder(lr)
        return self.before(features.at_eighth), features
