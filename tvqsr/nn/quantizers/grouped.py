"""Grouped quantisation: channel groups with a codebook each, the idea of HiTokSR (arXiv 2606.01157)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tvqsr.contract import Indices
from tvqsr.errors import UserError
from tvqsr.nn.quantize import LossConvention, Quantized, Quantizer, VectorQuantizer


class GroupedQuantizer(Quantizer):
    """Channels in equal groups, each quantised by vanilla VQ with a codebook of its own; losses are averaged.

    Raises UserError where channels cannot be divided so.
    """

    def __init__(
        self, size: int, groups: int, dim: int, convention: LossConvention, quantize_from: int = 0, beta: float = 0.25
    ) -> None:
        if dim % groups:
            raise UserError(f"codebook_count: {dim} channels cannot be divided into {groups} groups; give a divisor")
        parts = [VectorQuantizer(size, dim // groups, convention, beta=beta) for _ in range(groups)]
        super().__init__(tuple(part.codebooks[0] for part in parts), quantize_from)
        self.groups = nn.ModuleList(parts)

    @property
    def _parts(self) -> list[VectorQuantizer]:
        return [part for part in self.groups if isinstance(part, VectorQuantizer)]

    def vectors(self) -> tuple[Tensor, ...]:
        return tuple(part.embedding.weight for part in self._parts)

    def assemble(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(tuple(parts), dim=1)

    def indices(self, features: Tensor) -> Indices:
        return tuple(part.indices(own)[0] for part, own in self._with_own(features))

    def fill(self, features: Tensor, part: int) -> None:
        for group, own in self._with_own(features):
            group.fill(own, part)

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        found = [part.quantize(own, step) for part, own in self._with_own(features)]
        loss = torch.stack([quantized.loss for quantized in found]).mean()
        indices = tuple(quantized.indices[0] for quantized in found)
        return Quantized(self.assemble([quantized.codes for quantized in found]), indices, loss)

    def _with_own(self, features: Tensor) -> list[tuple[VectorQuantizer, Tensor]]:
        """Each group's quantiser with its channels."""
        return list(zip(self._parts, features.chunk(len(self._parts), dim=1), strict=True))
