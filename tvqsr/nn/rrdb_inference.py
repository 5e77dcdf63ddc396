"""RRDBNet in inference, whichever loss trained it."""

from __future__ import annotations

from torch import Tensor

from tvqsr.contract import Trained, Upscaler
from tvqsr.nn.rrdb import RrdbNet, RrdbShape


def generator_of(trained: Trained) -> RrdbNet:
    """The generator of a finished run: of `rrdb.psnr`, or of one that started from it and has its shape."""
    shaped_by = trained.needs.get("rrdb.psnr", trained)
    network = RrdbNet(RrdbShape(**shaped_by.settings))
    trained.load("generator", network)
    return network


class SuperResolution(Upscaler):
    """LR -> SR of any size; fully convolutional, so nothing is padded."""

    def __init__(self, network: RrdbNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        sr: Tensor = self.network(image)
        return sr
