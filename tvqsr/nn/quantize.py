"""Quantisers: what they have in common, vanilla VQ, and the straight-through lookup of predicted indices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Codebook, Indices
from tvqsr.nn.across import of_all_processes
from tvqsr.nn.nearest import nearest_code

LossConvention = Literal["textbook", "tvqrap"]


class Quantized(NamedTuple):
    """`codes` (B, D, h, w) carry the straight-through gradient; `indices` of each codebook; `loss` is a scalar."""

    codes: Tensor
    indices: Indices
    loss: Tensor


class Quantizer(nn.Module):
    """A quantiser of feature maps (B, D, h, w), in fp32 whatever the precision of the networks.

    A code vector of every codebook goes into each position; how, `assemble` says. `quantize_from` > 0 is a remedy
    against collapse in short trainings (0 in the papers): before that step, features pass unquantised and the codes
    wait, then are filled from them.
    """

    FILL_STEPS = 16

    def __init__(self, codebooks: tuple[Codebook, ...], quantize_from: int = 0) -> None:
        super().__init__()
        self.codebooks, self.quantize_from = codebooks, quantize_from

    @abstractmethod
    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        """Quantise features in fp32; `step` is the training step, None in inference."""

    @abstractmethod
    def indices(self, features: Tensor) -> Indices:
        """Indices that `quantize` chooses."""

    @abstractmethod
    def vectors(self) -> tuple[Tensor, ...]:
        """Code vectors of each codebook: (size, its own D)."""

    def assemble(self, parts: Sequence[Tensor]) -> Tensor:
        """Code vectors of each codebook at their positions (B, its own D, h, w) -> the decoder's input (B, D, h, w)."""
        (only,) = parts
        return only

    def fill(self, features: Tensor, part: int) -> None:
        """Overwrite one sixteenth of the codes with random ones of these features, the part counted from 0.

        Asked in each of the last 16 steps before quantisation begins. A quantiser without codes of its own does
        nothing.
        """

    def unquantised(self, features: Tensor) -> Tensor:
        """What passes before quantisation begins: the features, through whatever layers a quantiser brings along."""
        return features

    def lookup(self, indices: Indices) -> Tensor:
        """Indices of each codebook -> the decoder's input (B, D, h, w)."""
        found = zip(indices, self.vectors(), strict=True)
        return self.assemble([F.embedding(index, vectors).permute(0, 3, 1, 2) for index, vectors in found])

    def forward(self, features: Tensor, step: int | None = None) -> Quantized:
        """Quantise (B, D, h, w). In training, `step` counts from 0."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            if step is None or step >= self.quantize_from:
                return self.quantize(features, step)
            part = step - (self.quantize_from - self.FILL_STEPS)
            if part >= 0:
                self.fill(features.detach(), part)
            return Quantized(self.unquantised(features), self.indices(features), features.new_zeros(()))


def rows_of(features: Tensor) -> Tensor:
    """(B, D, h, w) -> (B h w, D)."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def maps_of(rows: Tensor, like: Tensor) -> Tensor:
    """(B h w, D), or (B h w,) of indices -> (B, D, h, w), or (B, h, w), as the features `like` lie."""
    b, _, h, w = like.shape
    return rows.view(b, h, w, *rows.shape[1:]).movedim(3, 1) if rows.dim() == 2 else rows.view(b, h, w)


def straight_through(features: Tensor, codes: Tensor) -> Tensor:
    """`codes`, with the gradient of what follows passed to `features` as it is."""
    return features + (codes - features).detach()


def random_rows(vectors: Tensor, count: int) -> Tensor:
    """Random ones of the whole batch's (N, D), with repetition: (count, D)."""
    vectors = of_all_processes(vectors)
    return vectors[torch.randint(len(vectors), (count,)).to(vectors.device)]


class CodeLoss(NamedTuple):
    """Weights of the two halves of a quantiser's loss, both mean squared distances of features and their codes."""

    codebook: float
    """Of the half that draws codes to features."""
    commitment: float
    """Of the half that draws features to codes."""

    @classmethod
    def of(cls, convention: LossConvention, beta: float = 0.25) -> CodeLoss:
        """Which half carries beta.

        `textbook`: mean||sg(z) - q||^2 + 0.25 mean||z - sg(q)||^2 (VQ-VAE).
        `tvqrap`: the other way round, beta on the codebook term, as TVQ&RAP's released code has it.
        """
        return cls(1.0, beta) if convention == "textbook" else cls(beta, 1.0)

    def __call__(self, features: Tensor, codes: Tensor) -> Tensor:
        """Scalar."""
        return self.codebook * F.mse_loss(codes, features.detach()) + self.commit(features, codes)

    def commit(self, features: Tensor, codes: Tensor) -> Tensor:
        """The commitment half alone, for codes that learn otherwise: scalar."""
        return self.commitment * F.mse_loss(features, codes.detach())


class VectorQuantizer(Quantizer):
    """Codebook of `size` x `dim` with nearest-neighbour lookup, no EMA, no restart.

    Initialised uniformly in +-1/size (VQ-VAE, arXiv 1711.00937). `convention` says which half of the loss carries
    `beta`, see `CodeLoss`.
    """

    def __init__(
        self, size: int, dim: int, convention: LossConvention, quantize_from: int = 0, beta: float = 0.25
    ) -> None:
        super().__init__((Codebook(size),), quantize_from)
        self.embedding = nn.Embedding(size, dim)
        nn.init.uniform_(self.embedding.weight, -1 / size, 1 / size)
        self.loss = CodeLoss.of(convention, beta)

    def vectors(self) -> tuple[Tensor, ...]:
        return (self.embedding.weight,)

    def indices(self, features: Tensor) -> Indices:
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return (maps_of(nearest_code(rows_of(features), self.embedding.weight), features),)

    def fill(self, features: Tensor, part: int) -> None:
        codes = self.embedding.weight.data.tensor_split(self.FILL_STEPS)[part]
        codes.copy_(random_rows(rows_of(features), len(codes)))

    def quantize(self, features: Tensor, step: int | None) -> Quantized:
        """Nearest codes; their gradient goes to the features as `pass_gradient` has it."""
        indices = self.indices(features)
        codes = self.lookup(indices)
        return Quantized(self.pass_gradient(features, codes), indices, self.loss(features, codes))

    def pass_gradient(self, features: Tensor, codes: Tensor) -> Tensor:
        """`codes`, both (B, D, h, w), with a gradient for the features: here the straight-through estimator's."""
        return straight_through(features, codes)


def straight_through_lookup(logits: Sequence[Tensor], quantizer: Quantizer) -> Tensor:
    """The decoder's input for the likeliest indices, with the gradient of the softmax.

    Logits (B, size, h, w) of each codebook -> (B, D, h, w).
    TVQ&RAP's reconstruction-aware prediction: one_hot <- p + (one_hot - p).detach(), times the detached codebook
    (section 3.3).
    """
    with torch.autocast(logits[0].device.type, enabled=False):
        found = zip(logits, quantizer.vectors(), strict=True)
        return quantizer.assemble([_selected(part.float(), vectors.detach().float()) for part, vectors in found])


def _selected(logits: Tensor, vectors: Tensor) -> Tensor:
    """(B, K, h, w) and (K, D) -> (B, D, h, w)."""
    probabilities = logits.softmax(dim=1)
    one_hot = torch.zeros_like(probabilities).scatter_(1, probabilities.argmax(dim=1, keepdim=True), 1.0)
    selection = probabilities + (one_hot - probabilities).detach()
    return torch.einsum("bkhw,kd->bdhw", selection, vectors)
