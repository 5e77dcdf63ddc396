"""Residual quantisation (RQ-VAE, arXiv 2203.01941): a codebook passed over several times, each time what is left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tvqsr.contract import Codebook, Indices
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


class ResidualQuantizer(Quantizer):
    """Greedy passes over one shared codebook; codes of all depths add up.

    At each depth the loss is vanilla VQ's on what was left, |left - code|, which is |z - sum so far|; mean over depths.
    The commitment half draws the features to every sum so far, as published. The codebook half draws each code to what
    it was chosen for: by gradient, as vanilla VQ's codes learn here, where the publication uses running averages.
    """

    def __init__(
        self, size: int, depth: int, dim: int, convention: LossConvention, quantize_from: int = 0, beta: float = 0.25
    ) -> None:
        super().__init__((Codebook(size),) * depth, quantize_from)
        self.embedding = nn.Embedding(size, dim)
        nn.init.uniform_(self.embedding.weight, -1 / size, 1 / size)
        self.loss = CodeLoss.of(convention, beta)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.embedding.weight,) * len(self.codebooks)

    def assemble(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.stack(tuple(parts)).sum(dim=0)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return tuple(maps_of(chosen, features) for chosen, _ in self._passes(rows_of(features).float()))

    def fill(self, features: Tensor, part: int) -> None:
        """Codes are needed for what is left as much as for features: they are drawn from both alike."""
        with torch.no_grad():
            wanted = torch.cat([left for _, left in self._passes(rows_of(features))])
            codes = self.embedding.weight.data.tensor_split(self.FILL_STEPS)[part]
            codes.copy_(random_rows(wanted, len(codes)))

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        """The straight-through estimator is applied once, to the sum (as published)."""
        rows = rows_of(features)
        passes = self._passes(rows.detach())
        indices = tuple(maps_of(chosen, features) for chosen, _ in passes)
        losses = []
        for chosen, left in passes:
            code = self.embedding(chosen)
            # `left` is `rows` less the codes before; its gradient is that of the features alone.
            losses.append(self.loss(rows + (left - rows).detach(), code))
        codes = self.lookup(indices)
        return Quantized(straight_through(features, codes), indices, torch.stack(losses).mean())

    def _passes(self, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of each depth the codes chosen (N,) and what they were chosen for (N, D), without gradients."""
        codebook, left = self.embedding.weight.detach(), rows
        found = []
        for _ in self.codebooks:
            chosen = nearest_code(left, codebook)
            found.append((chosen, left))
            left = left - codebook[chosen]
        return found
