"""The HR photo itself."""

from __future__ import annotations

from torch import Tensor

from tvqsr.contract import Trained, Upscaler


class HrCopy(Upscaler):
    def forward(self, image: Tensor) -> Tensor:
        return image


def upscaler(trained: Trained | None) -> Upscaler:
    return HrCopy()
