"""The texture tokenizer: structure in a continuous map round the codebook, texture through it.

TVQ&RAP, section 3.2; released code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor, nn

from tvqsr.nn.autoencoder import Fusion, ImagePath, Shape, StructureEncoder, StructurePath, TextureEncoder
from tvqsr.nn.blocks import PaddingKind
from tvqsr.nn.initialise import start_residuals
from tvqsr.nn.quantize import Quantized
from tvqsr.nn.vq_settings import VqSettings


@dataclass(frozen=True)
class TokenizerSettings(VqSettings):
    """Settings of the stage `tokenizer`; the paper's values are in `method.yaml`."""

    structure_channels: int
    structure_padding: PaddingKind
    x_down_width: int
    x_down_weight: float
    align_weight: float

    @property
    def shape(self) -> Shape:
        channels, padding = self.structure_channels, self.structure_padding
        return replace(super().shape, structure_channels=channels, structure_padding=padding)

    @property
    def x_down_shape(self) -> Shape:
        return replace(self.shape, width=self.x_down_width)


class Encoded(NamedTuple):
    """F^L (B, C, H/32, W/32), the structure map S made of it (B, 4 width, H/8, W/8), and the quantised texture."""

    f_low: Tensor
    structure: Tensor
    texture: Quantized


class Tokenizer(nn.Module):
    """HR in [-1, 1] (B, 3, H, W) -> structure and texture -> HR. H and W are multiples of 32."""

    def __init__(self, settings: TokenizerSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = settings.shape
        self.texture_encoder = TextureEncoder(shape, settings.encoder_swin_depth)
        self.structure_encoder = StructureEncoder(shape, settings.swin_depth)
        self.structure_path = StructurePath(shape, settings.swin_depth)
        self.fusion = Fusion(shape, with_structure=True)
        self.quantizer = settings.new_quantizer()
        self.image_path = ImagePath(shape, settings.swin_depth)
        start_residuals(self, settings.residual_init)

    def encode(self, image: Tensor, step: int | None = None) -> Encoded:
        """Structure and quantised texture; `step` is the training step, None in inference."""
        f_high = self.texture_encoder(image)
        f_low = self.structure_encoder(f_high)
        structure = self.structure_path(f_low)
        return Encoded(f_low, structure, self.quantizer(self.fusion(f_high, structure), step))

    def decode(self, structure: Tensor, codes: Tensor) -> Tensor:
        """Structure map S and codes, both (B, 4 width, H/8, W/8) -> image in nominal [-1, 1].

        The code is a residual over S.
        """
        return self.image_path(structure + codes)

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.encode(image)
        return self.decode(encoded.structure, encoded.texture.codes)
