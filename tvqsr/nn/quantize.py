"""Vanilla vector quantisation, its loss convention named, and the straight-through lookup of predicted indices."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LossConvention = Literal["textbook", "tvqrap"]


class Quantized(NamedTuple):
    """`codes` (B, D, h, w) carry the straight-through gradient; `indices` (B, h, w) int64; `loss` is a scalar."""

    codes: Tensor
    indices: Tensor
    loss: Tensor


def nearest_code(vectors: Tensor, codebook: Tensor, chunk: int = 16384) -> Tensor:
    """Index of the nearest code in Euclidean distance: vectors (N, D), codebook (K, D) -> (N,).

    In fp32; memory is bounded by `chunk` x K distances.
    """
    codebook = codebook.float()
    half_norm = 0.5 * codebook.square().sum(dim=1)
    # ||z||^2 is the same for every code of a row, so the argmin needs only ||e||^2 / 2 - z.e: one matrix product.
    parts = [
        torch.addmm(half_norm, part.float(), codebook.t(), alpha=-1).argmin(dim=1) for part in vectors.split(chunk)
    ]
    return torch.cat(parts)


class VectorQuantizer(nn.Module):
    """Codebook of `size` x `dim` with nearest-neighbour lookup, no EMA, no restart.

    Initialised uniformly in +-1/size (VQ-VAE, arXiv 1711.00937).
    `convention` says which term carries beta = 0.25.
    `textbook`: mean||sg(z) - q||^2 + 0.25 mean||z - sg(q)||^2 (VQ-VAE).
    `tvqrap`: the other way round, beta on the codebook term, as TVQ&RAP's released code has it.
    `quantize_from` > 0 is a remedy against collapse in short trainings (0 in the paper): see `forward`.
    """

    FILL_STEPS = 16

    def __init__(
        self, size: int, dim: int, convention: LossConvention, quantize_from: int = 0, beta: float = 0.25
    ) -> None:
        super().__init__()
        self.quantize_from = quantize_from
        self.embedding = nn.Embedding(size, dim)
        nn.init.uniform_(self.embedding.weight, -1 / size, 1 / size)
        self.codebook_weight, self.commit_weight = (1.0, beta) if convention == "textbook" else (beta, 1.0)

    def indices(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, h, w)."""
        b, d, h, w = features.shape
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return nearest_code(features.permute(0, 2, 3, 1).reshape(-1, d), self.embedding.weight).view(b, h, w)

    def lookup(self, indices: Tensor) -> Tensor:
        """(B, h, w) -> (B, D, h, w)."""
        return self.embedding(indices).permute(0, 3, 1, 2)

    def _fill(self, features: Tensor, step: int) -> None:
        """Overwrite one sixteenth of the codes with random ones of these features.

        In each of the last 16 steps before quantisation begins.
        """
        part = step - (self.quantize_from - self.FILL_STEPS)
        if not 0 <= part < self.FILL_STEPS:
            return
        codes = self.embedding.weight.data.tensor_split(self.FILL_STEPS)[part]
        vectors = features.detach().permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        chosen = torch.randint(len(vectors), (len(codes),)).to(vectors.device)
        codes.copy_(vectors[chosen])

    def forward(self, features: Tensor, step: int | None = None) -> Quantized:
        """Quantise (B, D, h, w): nearest codes, with the gradient of the codes passed straight through to the features.

        In training, `step` counts from 0; before `quantize_from`, features pass as they are and the codebook waits,
        then is filled from them.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            indices = self.indices(features)
            if step is not None and step < self.quantize_from:
                self._fill(features, step)
                return Quantized(features, indices, features.new_zeros(()))
            codes = self.lookup(indices)
            codebook_loss = F.mse_loss(codes, features.detach())
            commit_loss = F.mse_loss(features, codes.detach())
            loss = self.codebook_weight * codebook_loss + self.commit_weight * commit_loss
            return Quantized(features + (codes - features).detach(), indices, loss)


def straight_through_lookup(logits: Tensor, codebook: Tensor) -> Tensor:
    """Codes of the likeliest indices, with the gradient of the softmax.

    Logits (B, K, h, w), codebook (K, D) -> (B, D, h, w).
    TVQ&RAP's reconstruction-aware prediction: one_hot <- p + (one_hot - p).detach(), times the detached codebook
    (section 3.3).
    """
    with torch.autocast(logits.device.type, enabled=False):
        probabilities = logits.float().softmax(dim=1)
        one_hot = F.one_hot(probabilities.argmax(dim=1), logits.shape[1]).permute(0, 3, 1, 2).to(probabilities.dtype)
        selection = probabilities + (one_hot - probabilities).detach()
        return torch.einsum("bkhw,kd->bdhw", selection, codebook.detach().float())
