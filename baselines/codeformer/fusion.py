"""CodeFormer's controllable feature transformation: LR's features into the frozen decoder (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.autoencoder import ImagePath, Shape, TextureEncoder
from tvqsr.nn.blocks import ResBlock, norm_layer
from tvqsr.nn.image_loss import ImageLoss, ImageLossSettings

MEETINGS = {"at_quarter": (5, 2), "at_half": (3, 4)}
"""Where encoder and decoder meet, by resolution: index of the layer of `TextureEncoder`, of `ImagePath`."""


@dataclass(frozen=True)
class FusionSettings(ImageLossSettings):
    """Settings of the stage `fusion`; the published values are in `method.yaml`."""

    fidelity: float
    index_weight: float
    feature_weight: float


class Modulation(nn.Module):
    """Decoder features (B, C, h, w), scaled and shifted by what encoder features of the same shape say.

    `fidelity` 0 leaves them as they are.
    """

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        self.merge = ResBlock(2 * channels, channels, norm_layer(shape.norm))
        self.scale, self.shift = (_two_convolutions(channels) for _ in range(2))

    def forward(self, decoded: Tensor, encoded: Tensor, fidelity: float) -> Tensor:
        merged = self.merge(torch.cat([encoded, decoded], dim=1))
        return decoded + fidelity * (decoded * self.scale(merged) + self.shift(merged))


def _two_convolutions(channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2)),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


class Fusion(nn.ModuleDict):
    """A modulation for each resolution between that of codes and HR's own: H/4 and H/2, of 2 x width channels."""

    def __init__(self, shape: Shape) -> None:
        super().__init__({name: Modulation(shape, 2 * shape.width) for name in MEETINGS})

    @property
    def last_weight(self) -> Tensor:
        """Where the adaptive GAN weight is measured: the shift's last convolution at the finest resolution."""
        finest = self["at_half"]
        assert isinstance(finest, Modulation)
        last = finest.shift[-1]
        assert isinstance(last, nn.Conv2d)
        return last.weight

    def forward(self, codes: Tensor, image_path: ImagePath, levels: dict[str, Tensor], fidelity: float) -> Tensor:
        """Code vectors (B, 4 width, H/8, W/8) and the encoder's `encoder_levels` -> image in nominal [-1, 1]."""
        meets = {layer: name for name, (_, layer) in MEETINGS.items()}
        x = codes
        for index, layer in enumerate(image_path):
            x = layer(x)
            if name := meets.get(index):
                x = self[name](x, levels[name], fidelity)
        return x


def encoder_levels(encoder: TextureEncoder, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Image in [-1, 1] (B, 3, H, W) -> the encoder's output, and its features where they meet the decoder's.

    The latter are detached: image losses do not reach the encoder (released code).
    """
    meets = {layer: name for name, (layer, _) in MEETINGS.items()}
    levels = {}
    x = image
    for index, layer in enumerate(encoder):
        x = layer(x)
        if name := meets.get(index):
            levels[name] = x.detach()
    return x, levels


def fusion_loss(settings: FusionSettings) -> ImageLoss:
    """L1, LPIPS and a hinge GAN term, whose adaptive weight is at most `gan_weight`; the discriminator's own is 1."""
    return ImageLoss(settings, pixel=F.l1_loss, most=1.0, hinge_weight=1.0)
