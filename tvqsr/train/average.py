"""The running average of a training's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class RunningAverage(AveragedModel):
    """torch's, with exponential decay, but that it never asks the device how many updates there were.

    torch's own does so twice in every update, and the host waits each time. State and numbers are the same.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self._begun: bool | None = None

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take in a model's weights, the first time as they are; buffers always are."""
        if self._begun is None:
            self._begun = bool(self.n_averaged > 0)
        own: list[Tensor] = list(self.module.parameters())
        new: list[Tensor] = list(model.parameters())
        if self._begun:
            assert self.multi_avg_fn is not None
            self.multi_avg_fn(own, new, self.n_averaged)
        else:
            torch._foreach_copy_(own, new)
            self._begun = True
        for buffer, latest in zip(self.module.buffers(), model.buffers(), strict=True):
            buffer.copy_(latest)
        self.n_averaged += 1
