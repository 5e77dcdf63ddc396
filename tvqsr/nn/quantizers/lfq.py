"""Lookup-free quantisation (MAGVIT-v2, arXiv 2310.05737), by vector-quantize-pytorch."""

from __future__ import annotations

from unittest.mock import patch

import torch
from torch import Tensor
from vector_quantize_pytorch import LFQ, lookup_free_quantization

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.across import mean_over_processes
from tvqsr.nn.quantize import Quantized, Quantizer, maps_of, rows_of


class LookupFreeQuantizer(Quantizer):
    """Features projected to log2(size) dimensions, of which the signs are kept, and projected back.

    The loss is 0.1 times the mean entropy of a position's code less the entropy of the mean, softened with an inverse
    temperature of 100; no commitment (the library's defaults; the paper gives no weights). The entropy keeps all codes
    in use, so there is no other remedy against collapse; until `quantize_from`, it waits like the others.
    """

    def __init__(self, size: int, dim: int, quantize_from: int = 0) -> None:
        super().__init__((Codebook(size),), quantize_from)
        self.signs = LFQ(
            dim=dim, codebook_size=size, entropy_loss_weight=0.1, commitment_loss_weight=0.0, diversity_gamma=1.0
        )

    def unquantised(self, features: Tensor) -> Tensor:
        return maps_of(self.signs.project_out(self.signs.project_in(rows_of(features))), features)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.signs.project_out(self.signs.codebook),)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return self.quantize(features.float(), None).indices

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        # The library asks the module's mode whether it trains; a frozen tokenizer inside a training stage does not.
        self.signs.train(step is not None)
        # vector-quantize-pytorch 1.32.0 drops the result of its all-reduce of the mean over processes.
        with patch.object(lookup_free_quantization, "maybe_distributed_mean", mean_over_processes):
            codes, indices, loss = self.signs(rows_of(features)[None], inv_temperature=100.0)
        return Quantized(maps_of(codes[0], features), (maps_of(indices[0].long(), features),), loss)
