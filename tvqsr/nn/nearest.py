"""The nearest code of each vector: the index that a search in float64 finds, at the price of one in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tvqsr.nn.linear import linear

SCORES = {"cpu": 2**22, "cuda": 2**25}
"""Scores (vectors x codes, fp32) held at a time: 16 MiB stay in a CPU's cache, a GPU is busy with 128."""
CLOSEST = 64
"""One in so many vectors, those whose two best codes are closest to each other, is searched again in float64."""


@torch.no_grad()
def nearest_code(vectors: Tensor, codebook: Tensor, scores: int | None = None) -> Tensor:
    """Index of the nearest code in Euclidean distance: vectors (N, D), codebook (K, D) -> (N,).

    As a search in float64 finds it, the lowest index where codes are equally near. ||e||^2 / 2 - z.e takes one matrix
    product, in fp32 whatever autocast and TF32 are set to. All are taken relative to the mean code first: far from the
    origin, the difference of large terms would leave nothing of small distances. Where the two best scores differ by
    less than rounding, which happens to one vector in some 100000, the order is open: the closest races of each chunk
    are searched again in float64. Nothing waits for the device.

    Memory: `scores` (`SCORES` where None) or, of more codes, one row of them in fp32, 1 / 32 of that in float64, and
    the codebook in both.
    """
    codebook, exact = codebook.float(), codebook.double()
    mean = codebook.mean(dim=0)
    rows = max(1, (scores or SCORES.get(vectors.device.type, SCORES["cuda"])) // len(codebook))
    # Filled chunk by chunk: small tensors kept between the large ones would keep a CPU's memory from being reused.
    found = torch.empty(len(vectors), dtype=torch.int64, device=vectors.device)
    with _full_precision(vectors.device):
        centred = codebook - mean
        weight, bias = -centred, _half_norm(centred)
        exact_bias = _half_norm(exact)
        for part, index in zip(vectors.split(rows), found.split(rows), strict=True):
            score = linear(part.float() - mean, weight, bias)
            best, likely = score.min(dim=1)
            index.copy_(likely)
            if len(codebook) > 1:
                gap = score.scatter_(1, likely[:, None], torch.inf).amin(dim=1) - best
                close = gap.topk(-(-len(part) // CLOSEST), largest=False).indices
                index[close] = torch.addmm(exact_bias, part[close].double(), exact.t(), alpha=-1).argmin(dim=1)
    return found


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
