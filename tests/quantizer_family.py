"""One quantiser of each kind, small, and features to quantise."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from tvqsr.nn.quantize import Quantizer
from tvqsr.nn.quantizers import QuantizerKind, QuantizerSpec, new_quantizer
from tvqsr.nn.quantizers.ema import EmaQuantizer

DIM = 8
SIZES: dict[QuantizerKind, tuple[int, int]] = {"rq": (6, 3), "grouped": (6, 2), "hierarchical": (6, 2)}
SPECS = [
    QuantizerSpec(kind, *SIZES.get(kind, (16, 1)), dim=DIM, convention="textbook") for kind in get_args(QuantizerKind)
]
FILLED = ("vq", "vq_ema", "rq", "grouped", "hierarchical", "rotation")
"""Those whose codes are put on features when the waiting ends."""

every = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)


def made(spec: QuantizerSpec, seed: int = 0) -> Quantizer:
    """A quantiser whose codes are as far apart as features are: freshly made, they lie close to zero."""
    torch.manual_seed(seed)
    quantizer = new_quantizer(spec)
    for vectors in quantizer.vectors() if spec.kind in FILLED else ():
        nn.init.normal_(vectors)
    if isinstance(quantizer, EmaQuantizer):
        quantizer.sums.copy_(quantizer.codes)
    return quantizer


def features_of(*shape: int, seed: int = 1, grad: bool = False) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


def rows(features: Tensor) -> Tensor:
    return features.detach().movedim(1, 3).reshape(-1, features.shape[1]).double()


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    return torch.cdist(vectors, codebook.detach().double()).argmin(dim=1)
