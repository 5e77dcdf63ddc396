"""FeMaSR: codes of a high-resolution prior found by feature matching (arXiv 2202.13142)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.femasr_frame import LqFeatures, mirrored
from tvqsr.nn.unet_discriminator import UNetDiscriminator

from .network import HqSettings, LqNetwork, LqSettings, Prior, Tokenizer
from .released import released
from .stages import HqStage, LqStage

__all__ = ["released", "stage", "upscaler"]

HR_UNIT = 64
"""HR sides are padded to the next multiple of this, in pixels (released test path)."""


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "hq":
        return HqStage(HqSettings(**settings))
    tokenizer = _tokenizer(needs["hq"])
    discriminator = UNetDiscriminator(tokenizer.settings.discriminator_width)
    needs["hq"].load("discriminator", discriminator)
    return LqStage(LqSettings(**settings), tokenizer, discriminator)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "hq":
        return Reconstruction(_tokenizer(trained))
    tokenizer = _tokenizer(trained.needs["hq"])
    network = LqNetwork(LqSettings(**trained.settings), tokenizer.settings)
    trained.load("lq", network)
    prior = tokenizer.prior
    if trained.holds("prior"):  # released weights carry their own
        prior = Prior(tokenizer.settings)
        trained.load("prior", prior)
    return SuperResolution(network, prior, tokenizer)


def _tokenizer(trained: Trained) -> Tokenizer:
    tokenizer = Tokenizer(HqSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer


def _indices(tokenizer: Tokenizer, hr: Tensor) -> Indices:
    (indices,) = tokenizer.indices(mirrored(hr, HR_UNIT))
    return (indices[:, : hr.shape[-2] // 8, : hr.shape[-1] // 8],)


class Reconstruction(Upscaler):
    """HR -> HR through the codebook, padded as the authors' test does."""

    multiple = 8

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.codebooks = tokenizer.prior.quantizer.codebooks

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        out: Tensor = self.tokenizer(mirrored(image, HR_UNIT))
        return out[..., :height, :width]

    def codes(self, image: Tensor) -> Indices:
        return _indices(self.tokenizer, image)

    def code_vectors(self, indices: Indices) -> Tensor:
        return self.tokenizer.prior.quantizer.lookup(indices)


class SuperResolution(Upscaler):
    """LR -> SR, padded as the authors' test does: to the next whole window, by at least one pixel."""

    multiple = 2

    def __init__(self, network: LqNetwork, prior: Prior, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.network, self.prior = network, prior
        self.codebooks = prior.quantizer.codebooks
        # Only asked for HR's own indices: kept out of the module tree, since inference does not need it.
        self._reference = [tokenizer]

    def _features(self, image: Tensor) -> tuple[Tensor, LqFeatures]:
        found: tuple[Tensor, LqFeatures] = self.network(mirrored(image, 2 * self.network.settings.window))
        return found

    def forward(self, image: Tensor) -> Tensor:
        features, shortcuts = self._features(image)
        quantizer = self.prior.quantizer
        out: Tensor = self.prior(quantizer.lookup(quantizer.indices(features)), shortcuts)
        return out[..., : 4 * image.shape[-2], : 4 * image.shape[-1]]

    def codes(self, image: Tensor) -> Indices:
        (indices,) = self.prior.quantizer.indices(self._features(image)[0])
        return (indices[:, : image.shape[-2] // 2, : image.shape[-1] // 2],)

    def codes_of_hr(self, hr: Tensor) -> Indices:
        # Outside the module tree, it has to be taken to the device by hand.
        return _indices(self._reference[0].to(hr.device), hr)
