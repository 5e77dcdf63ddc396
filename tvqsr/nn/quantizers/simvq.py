"""SimVQ (arXiv 2411.02038), by vector-quantize-pytorch: frozen codes behind a linear layer that learns."""

from __future__ import annotations

import torch
from torch import Tensor
from vector_quantize_pytorch import SimVQ

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.quantize import CodeLoss, LossConvention, Quantized, Quantizer, maps_of, rows_of


class SimVectorQuantizer(Quantizer):
    """Nearest of Gaussian codes, frozen, after a linear layer that moves all of them at once.

    Codes cannot be put on features, so there is no remedy against collapse but that; until `quantize_from`, it waits
    like the others.
    """

    def __init__(self, size: int, dim: int, convention: LossConvention, quantize_from: int = 0) -> None:
        super().__init__((Codebook(size),), quantize_from)
        weights = CodeLoss.of(convention)
        self.moved = SimVQ(
            dim=dim,
            codebook_size=size,
            rotation_trick=False,
            commitment_weight=weights.codebook,
            input_to_quantize_commit_loss_weight=weights.commitment / weights.codebook,
        )

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.moved.codebook,)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return self.quantize(features.float(), None).indices

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        codes, indices, loss = self.moved(rows_of(features)[None])
        return Quantized(maps_of(codes[0], features), (maps_of(indices[0], features),), loss)
