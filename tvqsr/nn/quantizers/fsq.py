"""Finite scalar quantisation (arXiv 2309.15505), by vector-quantize-pytorch."""

from __future__ import annotations

import torch
from torch import Tensor
from vector_quantize_pytorch import FSQ

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.quantize import Quantized, Quantizer, maps_of, rows_of


class FiniteScalarQuantizer(Quantizer):
    """Features projected to a few dimensions, each rounded to one of its `levels`, and projected back; no loss.

    It needs no remedy against collapse (section 3 of the paper); until `quantize_from`, it waits like the others.
    """

    def __init__(self, levels: tuple[int, ...], dim: int, quantize_from: int = 0) -> None:
        grid = FSQ(levels, dim=dim)
        super().__init__((Codebook(int(grid.codebook_size)),), quantize_from)
        self.grid = grid

    def unquantised(self, features: Tensor) -> Tensor:
        return maps_of(self.grid.project_out(self.grid.project_in(rows_of(features))), features)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.grid.project_out(self.grid.implicit_codebook),)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return self.quantize(features.float(), None).indices

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        codes, indices = self.grid(rows_of(features)[None])
        return Quantized(maps_of(codes[0], features), (maps_of(indices[0].long(), features),), features.new_zeros(()))
