"""LAR-SR: what a regression SR lacks, in codes that a local autoregressive module samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.rrdb import RrdbNet
from tvqsr.nn.rrdb_inference import generator_of

from .local_ar import HR_MULTIPLE, LocalAr, LocalArSettings
from .lr import lr_of
from .sampling import Sampler
from .stages import LarStage, TokenizerStage
from .vqvae import TexturalVqVae, VqVaeSettings


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(VqVaeSettings(**settings), generator_of(needs["rrdb.psnr"]))
    return LarStage(LocalArSettings(**settings), *_frozen(needs["tokenizer"]))


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        return Reconstruction(*_frozen(trained))
    generator, vqvae = _frozen(trained.needs["tokenizer"])
    settings = LocalArSettings(**trained.settings)
    lar = LocalAr(settings, vqvae.settings.codebook_size)
    trained.load("lar", lar)
    return SuperResolution(generator, vqvae, lar, settings.argmax_share)


def _frozen(tokenizer: Trained) -> tuple[RrdbNet, TexturalVqVae]:
    """The networks of a run of `tokenizer`: the RRDBNet that it stands on, and the VQ-VAE."""
    vqvae = TexturalVqVae(VqVaeSettings(**tokenizer.settings))
    tokenizer.load("vqvae", vqvae)
    return generator_of(tokenizer.needs["rrdb.psnr"]), vqvae


class Reconstruction(Upscaler):
    """HR -> HR by the codes of HR, beside the SR0 of HR's own bicubic LR."""

    multiple = HR_MULTIPLE

    def __init__(self, generator: RrdbNet, vqvae: TexturalVqVae) -> None:
        super().__init__()
        self.generator, self.vqvae = generator, vqvae
        self.codebooks = vqvae.quantizer.codebooks

    def forward(self, image: Tensor) -> Tensor:
        sr = self.generator(lr_of(image))
        return self.vqvae.decode(self.vqvae.encode(image, sr).codes, sr)

    def codes(self, image: Tensor) -> Indices:
        return self.vqvae.indices(image, self.generator(lr_of(image)))

    def code_vectors(self, indices: Indices) -> Tensor:
        return self.vqvae.quantizer.lookup(indices)


class SuperResolution(Upscaler):
    """LR -> SR by sampled indices."""

    multiple = HR_MULTIPLE // 4

    def __init__(self, generator: RrdbNet, vqvae: TexturalVqVae, lar: LocalAr, argmax_share: float) -> None:
        super().__init__()
        self.generator, self.vqvae, self.lar, self.argmax_share = generator, vqvae, lar, argmax_share
        self.codebooks = vqvae.quantizer.codebooks

    def forward(self, image: Tensor) -> Tensor:
        sr = self.generator(image)
        codes = self.vqvae.quantizer.lookup((self.lar.sample(sr, Sampler(self.argmax_share)),))
        return self.vqvae.decode(codes, sr)

    def codes(self, image: Tensor) -> Indices:
        return (self.lar.sample(self.generator(image), Sampler(self.argmax_share)),)

    def codes_of_hr(self, hr: Tensor) -> Indices:
        return self.vqvae.indices(hr, self.generator(lr_of(hr)))
