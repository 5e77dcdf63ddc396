"""The nearest code of each vector: the index that a search in float64 finds, at about the price of one in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from tvqsr.nn.linear import linear, on_cpu

SCORES = {"cpu": 2**22, "cuda": 2**25}
"""Scores (vectors x codes, fp32) held at a time: 16 MiB stay in a CPU's cache, a GPU is busy with 128."""
CLOSEST = 64
"""One in so many vectors of a chunk is searched again in float64 at a time; on a GPU, once."""


@torch.no_grad()
def nearest_code(vectors: Tensor, codebook: Tensor, scores: int | None = None) -> Tensor:
    """Index of the nearest code in Euclidean distance: vectors (N, D), codebook (K, D) -> (N,).

    As a search in float64 finds it, the lowest index where codes are equally near. ||e||^2 / 2 - z.e takes one matrix
    product, in fp32 whatever autocast and TF32 are set to. All are taken relative to the mean code first: far from the
    origin, the difference of large terms would leave nothing of small distances. Where the two best scores differ by
    less than rounding can, their order is open, and the vector is searched again in float64: on a CPU every one of
    these. A GPU would have to be waited for to know how many there are, so there it is the closest of each chunk, one
    vector in `CLOSEST`; were more open (equal codes, or vectors in great number half-way between two), it may be
    another code that is as near but for rounding.

    Memory: `scores` (`SCORES` where None) or, of more codes, one row of them in fp32, 1 / 32 of that in float64, and
    the codebook in both.
    """
    codebook = codebook.float()
    mean = codebook.mean(dim=0)
    rows = max(1, (scores or SCORES.get(vectors.device.type, SCORES["cuda"])) // len(codebook))
    # Filled chunk by chunk: small tensors kept between the large ones would keep a CPU's memory from being reused.
    found, first = torch.empty(len(vectors), dtype=torch.int64, device=vectors.device), None
    with _full_precision(vectors.device):
        centred = codebook - mean
        weight, bias = -centred, _half_norm(centred)
        exact, exact_mean = codebook.double() - mean.double(), mean.double()
        for part, index in zip(vectors.split(rows), found.split(rows), strict=True):
            shifted = part.float() - mean
            score = linear(shifted, weight, bias)
            best, likely = score.min(dim=1)
            index.copy_(likely)
            if len(codebook) > 1:
                gap = score.scatter_(1, likely[:, None], torch.inf).amin(dim=1) - best
                if not on_cpu(vectors):
                    close = gap.topk(-(-len(part) // CLOSEST), largest=False).indices
                    index[close] = _nearest_in_float64(part[close].double() - exact_mean, exact)
                    continue
                for close in _open(gap, _rounding(shifted, bias)):
                    first = _first_of_equal(codebook) if first is None else first
                    index[close] = first[_nearest_in_float64(part[close].double() - exact_mean, exact)]
    return found


def _nearest_in_float64(vectors: Tensor, exact: Tensor) -> Tensor:
    return torch.addmm(_half_norm(exact), vectors, exact.t(), alpha=-1).argmin(dim=1)


def _first_of_equal(codebook: Tensor) -> Tensor:
    """For each code the lowest index of one that is equal to it (K,): a product's rounding tells equal ones apart."""
    number = torch.arange(len(codebook), device=codebook.device)
    _, kind = codebook.unique(dim=0, return_inverse=True)
    return torch.full_like(number, len(codebook)).scatter_reduce(0, kind, number, "amin")[kind]


def _rounding(vectors: Tensor, half_norms: Tensor) -> Tensor:
    """Most that two scores of vectors (N, D) can be off together, (N,): whatever the order in which terms are added."""
    largest = half_norms.max()
    terms = vectors.norm(dim=1) * (2 * largest).sqrt() + largest
    return 2 * (vectors.shape[1] + 4) * torch.finfo(vectors.dtype).eps * terms


def _open(gap: Tensor, rounding: Tensor) -> Sequence[Tensor]:
    """Vectors whose nearest code is to be searched again, so many at a time that memory stays bounded."""
    open_races = (gap <= rounding).nonzero().flatten()
    return open_races.split(-(-len(gap) // CLOSEST)) if len(open_races) else []


def _half_norm(codes: Tensor) -> Tensor:
    return 0.5 * codes.square().sum(dim=1)


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, and matrix products in fp32 where a training allows TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
