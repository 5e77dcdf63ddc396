"""RRDBNet trained for PSNR: L1 alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.nn import functional as F

from tvqsr.contract import Stage, Terms, Trained, Upscaler
from tvqsr.data.crops import Batch
from tvqsr.nn.rrdb import RrdbNet, RrdbShape
from tvqsr.nn.rrdb_inference import SuperResolution, generator_of


class PsnrStage(Stage):
    """LR -> HR by mean absolute error over RGB."""

    def __init__(self, shape: RrdbShape) -> None:
        super().__init__({"generator": RrdbNet(shape)}, {"generator": ("generator",)})

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        sr = self.networks["generator"](batch.lr)
        return {"pixel": F.l1_loss(sr.float(), batch.hr)}


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    return PsnrStage(RrdbShape(**settings))


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    return SuperResolution(generator_of(trained))
