"""The texture tokenizer: structure in a continuous map round the codebook, texture through it.

TVQ&RAP, section 3.2; released code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import Tensor

from tvqsr.contract import Indices
from tvqsr.nn.autoencoder import Fusion, ImagePath, Shape, StructureEncoder, StructurePath, TextureEncoder
from tvqsr.nn.blocks import PaddingKind
from tvqsr.nn.initialise import start_residuals
from tvqsr.nn.quantize import Quantized
from tvqsr.nn.vq_inference import VqTokenizer
from tvqsr.nn.vq_settings import VqSettings


@dataclass(frozen=True)
class TokenizerSettings(VqSettings):
    """Settings of the stage `tokenizer`; the paper's values are in `method.yaml`."""

    structure_channels: int
    structure_scale: int
    quantised: Literal["fused", "texture"]
    structure_padding: PaddingKind
    x_down_width: int
    x_down_weight: float
    align_weight: float

    @property
    def shape(self) -> Shape:
        return replace(
            super().shape,
            structure_channels=self.structure_channels,
            structure_scale=self.structure_scale,
            structure_padding=self.structure_padding,
        )

    @property
    def hr_multiple(self) -> int:
        """HR sides are padded to multiples of this, in pixels: whole windows even on a map as small as F^L.

        As published: 256, or 64 for LR (released code).
        """
        return self.structure_scale * self.window

    @property
    def x_down_shape(self) -> Shape:
        return replace(self.shape, width=self.x_down_width)


class Encoded(NamedTuple):
    """F^L (B, C, H/32, W/32), the structure map S made of it (B, 4 width, H/8, W/8), and the quantised texture.

    32 stands for `structure_scale`.
    """

    f_low: Tensor
    structure: Tensor
    texture: Quantized


class Tokenizer(VqTokenizer):
    """HR in [-1, 1] (B, 3, H, W) -> structure and texture -> HR. H and W are multiples of `structure_scale`."""

    def __init__(self, settings: TokenizerSettings) -> None:
        super().__init__()
        self.settings = settings
        shape = settings.shape
        self.texture_encoder = TextureEncoder(shape, settings.encoder_swin_depth)
        self.structure_encoder = StructureEncoder(shape, settings.swin_depth)
        self.structure_path = StructurePath(shape, settings.swin_depth)
        self.fusion = Fusion(shape, with_structure=settings.quantised == "fused")
        self.quantizer = settings.new_quantizer()
        self.image_path = ImagePath(shape, settings.swin_depth)
        start_residuals(self, settings.residual_init)

    def encode(self, image: Tensor, step: int | None = None) -> Encoded:
        """Structure and quantised texture; `step` is the training step, None in inference."""
        f_high = self.texture_encoder(image)
        f_low = self.structure_encoder(f_high)
        structure = self.structure_path(f_low)
        features = self.fusion(f_high, structure if self.settings.quantised == "fused" else None)
        return Encoded(f_low, structure, self.quantizer(features, step))

    def indices(self, image: Tensor) -> Indices:
        return self.encode(image).texture.indices

    def decode(self, structure: Tensor, codes: Tensor) -> Tensor:
        """Structure map S and codes, both (B, 4 width, H/8, W/8) -> image in nominal [-1, 1].

        The code is a residual over S.
        """
        return self.image_path(structure + codes)

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.encode(image)
        return self.decode(encoded.structure, encoded.texture.codes)
