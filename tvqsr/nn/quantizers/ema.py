"""VQ whose codes are running averages of the features that chose them (VQ-VAE, arXiv 1711.00937, appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.across import sum_over_processes
from tvqsr.nn.nearest import nearest_code
from tvqsr.nn.quantize import (
    CodeLoss,
    LossConvention,
    Quantized,
    Quantizer,
    maps_of,
    random_rows,
    rows_of,
    straight_through,
)


class EmaQuantizer(Quantizer):
    """Codes follow the features by running averages, in training steps alone; of the loss only commitment remains.

    A code whose running count of features falls below one a step is put on a random feature of the batch, as in
    RQ-VAE's released code. Without k-means: the same rule places the codes of the first steps.

    Our own, not the library's (vector-quantize-pytorch 1.32.0, which the tests compare it with): there random features
    are drawn on the GPU, whose random state a checkpoint does not hold, and the first forward of any kind starts the
    codebook.
    """

    DECAY = 0.99
    SMOOTHING = 1e-5
    """Added to every count before division (Laplace)."""
    FEWEST = 1.0

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int, convention: LossConvention, quantize_from: int = 0) -> None:
        super().__init__((Codebook(size),), quantize_from)
        codes = torch.empty(size, dim).uniform_(-1 / size, 1 / size)
        # Buffers: a running average of the weights takes them as they are, since they are averages already.
        self.register_buffer("codes", codes)
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", codes.clone())
        self.loss = CodeLoss.of(convention)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.codes,)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return (maps_of(nearest_code(rows_of(features), self.codes), features),)

    def fill(self, features: Tensor, part: int) -> None:
        which = torch.zeros_like(self.counts, dtype=torch.bool)
        which.tensor_split(self.FILL_STEPS)[part].fill_(True)
        self._place(which, random_rows(rows_of(features), len(which)))

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        """Nearest codes; a training step moves them afterwards."""
        indices = self.indices(features)
        codes = self.lookup(indices)
        if step is not None:
            self._follow(rows_of(features.detach()), indices[0].flatten())
        return Quantized(straight_through(features, codes), indices, self.loss.commit(features, codes))

    @torch.no_grad()
    def _follow(self, rows: Tensor, chosen: Tensor) -> None:
        members = F.one_hot(chosen, len(self.codes)).to(rows.dtype)
        self.counts.lerp_(sum_over_processes(members.sum(dim=0)), 1 - self.DECAY)
        self.sums.lerp_(sum_over_processes(members.t() @ rows), 1 - self.DECAY)
        total = self.counts.sum()
        smoothed = (self.counts + self.SMOOTHING) / (total + len(self.codes) * self.SMOOTHING) * total
        self.codes.copy_(self.sums / smoothed[:, None])
        self._place(self.counts < self.FEWEST, random_rows(rows, len(self.codes)))

    def _place(self, which: Tensor, rows: Tensor) -> None:
        """Put some codes on features, as if each had been chosen by one. `which` (size,) of bool, rows (size, D).

        Rows for all codes, needed or not, so that a run's random numbers do not hang on which codes are in use.
        """
        for of_codes in (self.codes, self.sums):
            of_codes.copy_(torch.where(which[:, None], rows, of_codes))
        self.counts.masked_fill_(which, 1.0)
