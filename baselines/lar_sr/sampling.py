"""How an index is chosen from its logits."""

from __future__ import annotations

import torch
from torch import Tensor

SEED = 0
"""Of every image's draws: an image comes out the same alone, in a batch, and on any day."""


class Sampler:
    """The likeliest index with probability `argmax_share`, otherwise one drawn from the softmax (released code).

    Draws are made on the CPU, the same on every device, and shared by the images of a batch.
    """

    def __init__(self, argmax_share: float) -> None:
        self.argmax_share = argmax_share
        self.random = torch.Generator().manual_seed(SEED)

    def __call__(self, position: int, logits: Tensor) -> Tensor:
        """Logits (B, K, h, w) -> indices (B, h, w)."""
        takes_best, quantile = torch.rand(2, *logits.shape[-2:], generator=self.random, dtype=torch.float64)
        # In float64, since running sums on a GPU add in no fixed order: the last bits must not matter.
        reached = logits.double().softmax(dim=1).cumsum(dim=1)
        drawn = (reached[:, :-1] <= quantile.to(logits.device) * reached[:, -1:]).sum(dim=1)
        return torch.where((takes_best < self.argmax_share).to(logits.device), logits.argmax(dim=1), drawn)
