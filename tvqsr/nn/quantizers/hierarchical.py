"""Hierarchical quantisation (VQ-VAE-2, arXiv 1906.00446): a coarse map of codes, and a fine one given the coarse."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tvqsr.contract import Codebook, Indices
from tvqsr.errors import UserError
from tvqsr.nn.quantize import LossConvention, Quantized, Quantizer, VectorQuantizer


class HierarchicalQuantizer(Quantizer):
    """Top codes at 1/16 of features taken down one level; bottom codes at 1/8 of the features given the top codes.

    Both are vanilla VQ, their losses added up (as published). The decoder gets the bottom codes plus the top codes
    taken up: what the publication does by concatenation and its decoder's first convolution, without touching ours.
    Features must have even sides.
    """

    def __init__(
        self, size: int, dim: int, convention: LossConvention, quantize_from: int = 0, beta: float = 0.25
    ) -> None:
        super().__init__((Codebook(size, stride=16), Codebook(size, stride=8)), quantize_from)
        self.top, self.bottom = (VectorQuantizer(size, dim, convention, beta=beta) for _ in range(2))
        self.down = nn.Conv2d(dim, dim, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(dim, dim, 4, stride=2, padding=1)
        self.given = nn.Conv2d(2 * dim, dim, 1)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.top.embedding.weight, self.bottom.embedding.weight)

    def assemble(self, parts: Sequence[Tensor]) -> Tensor:
        coarse, fine = parts
        return fine + self.up(coarse)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            coarse = self._coarse(features.float())
            top = self.top.indices(coarse)
            return (*top, *self.bottom.indices(self._fine(features.float(), self.top.lookup(top))))

    def unquantised(self, features: Tensor) -> Tensor:
        coarse = self._coarse(features)
        return self.assemble([coarse, self._fine(features, coarse)])

    def fill(self, features: Tensor, part: int) -> None:
        with torch.no_grad():
            coarse = self._coarse(features)
            self.top.fill(coarse, part)
            self.bottom.fill(self._fine(features, coarse), part)

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        top = self.top.quantize(self._coarse(features), step)
        bottom = self.bottom.quantize(self._fine(features, top.codes), step)
        codes = self.assemble([top.codes, bottom.codes])
        return Quantized(codes, (*top.indices, *bottom.indices), top.loss + bottom.loss)

    def _coarse(self, features: Tensor) -> Tensor:
        """Features for the top codes: (B, D, h/2, w/2)."""
        height, width = features.shape[-2:]
        if height % 2 or width % 2:
            raise UserError(
                f"quantizer `hierarchical`: features of {height} x {width} positions have no half; "
                f"make hr_crop a multiple of 16"
            )
        coarse: Tensor = self.down(features)
        return coarse

    def _fine(self, features: Tensor, coarse: Tensor) -> Tensor:
        """Features for the bottom codes, given the top's: (B, D, h, w)."""
        fine: Tensor = self.given(torch.cat([features, self.up(coarse)], dim=1))
        return fine
