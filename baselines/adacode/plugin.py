"""AdaCode: several codebooks, mixed position by position (arXiv 2306.06513)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.femasr_frame import LqFeatures, mirrored
from tvqsr.nn.unet_discriminator import UNetDiscriminator

from .network import BasesSettings, LqNetwork, Mixed, SrSettings, Tokenizer
from .stages import BasesStage, SrStage


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "bases_and_mix":
        return BasesStage(BasesSettings(**settings))
    first = needs["bases_and_mix"]
    tokenizer = _tokenizer(first)
    discriminator = UNetDiscriminator(tokenizer.settings.discriminator_width)
    first.load("discriminator", discriminator)
    return SrStage(SrSettings(**settings), tokenizer, discriminator)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "bases_and_mix":
        return Reconstruction(_tokenizer(trained))
    tokenizer = _tokenizer(trained.needs["bases_and_mix"])
    network = LqNetwork(tokenizer.settings)
    trained.load("lq", network)
    return SuperResolution(network, tokenizer)


def _tokenizer(trained: Trained) -> Tokenizer:
    tokenizer = Tokenizer(BasesSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer


def _padded(tokenizer: Tokenizer, hr: Tensor) -> Tensor:
    """HR to the next whole window of the mix predictor, by at least one pixel: 64 at the published size."""
    return mirrored(hr, 8 * tokenizer.settings.window)


def _indices(tokenizer: Tokenizer, hr: Tensor) -> Indices:
    height, width = hr.shape[-2:]
    return tuple(part[:, : height // 8, : width // 8] for part in tokenizer.indices(_padded(tokenizer, hr)))


class Reconstruction(Upscaler):
    """HR -> HR through the codebooks. What the decoder gets depends on the mix, too: no `code_vectors`."""

    multiple = 8

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.codebooks = tokenizer.bases.codebooks

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.tokenizer(_padded(self.tokenizer, image))
        return out[..., : image.shape[-2], : image.shape[-1]]

    def codes(self, image: Tensor) -> Indices:
        return _indices(self.tokenizer, image)


class SuperResolution(Upscaler):
    """LR -> SR, padded as the authors' test does: to the next whole window, by at least one pixel."""

    multiple = 2

    def __init__(self, network: LqNetwork, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.network, self.bases = network, tokenizer.bases
        self.codebooks = self.bases.codebooks
        # Only asked for HR's own indices: kept out of the module tree, since inference does not need it.
        self._reference = [tokenizer]

    def _mixed(self, image: Tensor) -> tuple[LqFeatures, Mixed]:
        found: tuple[LqFeatures, Mixed] = self.network(mirrored(image, 2 * self.network.window), self.bases)
        return found

    def forward(self, image: Tensor) -> Tensor:
        features, mixed = self._mixed(image)
        out: Tensor = self.bases.decoder(mixed.fused, features)
        return out[..., : 4 * image.shape[-2], : 4 * image.shape[-1]]

    def codes(self, image: Tensor) -> Indices:
        height, width = image.shape[-2] // 2, image.shape[-1] // 2
        return tuple(part.indices[0][:, :height, :width] for part in self._mixed(image)[1].quantized)

    def codes_of_hr(self, hr: Tensor) -> Indices:
        # Outside the module tree, it has to be taken to the device by hand.
        return _indices(self._reference[0].to(hr.device), hr)
