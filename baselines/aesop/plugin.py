"""AESOP: the GAN family's fidelity measured after an auto-encoder instead of on pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Stage, Trained, Upscaler
from tvqsr.nn.rrdb import RrdbNet, RrdbShape
from tvqsr.nn.rrdb_gan import GanSettings, GanStage
from tvqsr.nn.rrdb_inference import SuperResolution, generator_of

from .autoencoder import AutoEncoder, AutoEncoderSettings, AutoEncoderStage


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    generator = generator_of(needs["rrdb.psnr"])
    if name == "autoencoder":
        return AutoEncoderStage(AutoEncoderSettings(**settings), generator)
    return GanStage(GanSettings(**settings), generator, _autoencoder(needs["autoencoder"]))


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "autoencoder":
        return Reconstruction(_autoencoder(trained))
    return SuperResolution(generator_of(trained))


def _autoencoder(trained: Trained) -> AutoEncoder:
    decoder = RrdbNet(RrdbShape(**trained.needs["rrdb.psnr"].settings))
    network = AutoEncoder(AutoEncoderSettings(**trained.settings), decoder)
    trained.load("autoencoder", network)
    return network


class Reconstruction(Upscaler):
    """HR -> AE(HR): what AESOP's loss and AE-PSNR look at."""

    multiple = 4

    def __init__(self, autoencoder: AutoEncoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, image: Tensor) -> Tensor:
        restored: Tensor = self.autoencoder(image)
        return restored
