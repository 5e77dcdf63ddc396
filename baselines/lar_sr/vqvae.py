"""LAR-SR's textural VQ-VAE: what HR adds to a regression SR0, in codes at half of HR's resolution (released code)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Indices
from tvqsr.nn.quantize import Quantized

from .quantizer import TextureQuantizer

STRIDE = 2
"""HR pixels per code position, along each side."""


@dataclass(frozen=True)
class VqVaeSettings:
    """Settings of the stage `tokenizer`; the published values are in `method.yaml`."""

    channels: int
    residual_channels: int
    residual_blocks: int
    codebook_size: int
    code_channels: int
    quantize_from: int
    pixel_weight: float
    commit_weight: float


class Bottleneck(nn.Module):
    """ReLU, 3x3 convolution to fewer channels, ReLU, 1x1 convolution back, residual."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, inner, 3, padding=1)
        self.widen = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.widen(F.relu(self.narrow(F.relu(x))))


class Encoder(nn.Sequential):
    """Images in [0, 1] (B, in_channels, H, W) -> features (B, channels, H/2, W/2)."""

    def __init__(self, in_channels: int, settings: VqVaeSettings) -> None:
        c = settings.channels
        super().__init__(
            *(nn.Conv2d(in_channels, c // 2, 4, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(c // 2, c, 3, padding=1),
            *(Bottleneck(c, settings.residual_channels) for _ in range(settings.residual_blocks)),
            nn.ReLU(),
        )


class Decoder(nn.Sequential):
    """Features and code vectors (B, channels + code_channels, H/2, W/2) -> residual image (B, 3, H, W)."""

    def __init__(self, settings: VqVaeSettings) -> None:
        c = settings.channels
        super().__init__(
            nn.Conv2d(c + settings.code_channels, c, 3, padding=1),
            *(Bottleneck(c, settings.residual_channels) for _ in range(settings.residual_blocks)),
            *(nn.ReLU(), nn.ConvTranspose2d(c, 3, 4, stride=2, padding=1)),
        )


class TexturalVqVae(nn.Module):
    """HR and SR0 in [0, 1], (B, 3, H, W) with even sides -> codes -> HR.

    The texture encoder sees HR beside SR0 and is quantised; the decoder is given SR0's own features beside the codes
    and makes what is added to SR0.
    """

    def __init__(self, settings: VqVaeSettings) -> None:
        super().__init__()
        self.settings = settings
        self.texture_encoder = nn.Sequential(
            Encoder(6, settings), nn.Conv2d(settings.channels, settings.code_channels, 1)
        )
        self.quantizer = TextureQuantizer(
            settings.codebook_size, settings.code_channels, STRIDE, settings.quantize_from
        )
        self.sr_encoder = Encoder(3, settings)
        self.decoder = Decoder(settings)

    def encode(self, hr: Tensor, sr: Tensor, step: int | None = None) -> Quantized:
        """Quantised features; `step` is the training step, None in inference."""
        quantized: Quantized = self.quantizer(self.texture_encoder(torch.cat([hr, sr], dim=1)), step)
        return quantized

    def indices(self, hr: Tensor, sr: Tensor) -> Indices:
        return self.encode(hr, sr).indices

    def decode(self, codes: Tensor, sr: Tensor) -> Tensor:
        """Code vectors (B, code_channels, H/2, W/2) and SR0 -> image, not clamped."""
        residual: Tensor = self.decoder(torch.cat([self.sr_encoder(sr), codes], dim=1))
        return sr + residual
