"""How FeMaSR and AdaCode pull features of LR towards those of HR (arXiv 2202.13142, section 3.3 and released code)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

COMMITMENT = 0.25


def gram(features: Tensor) -> Tensor:
    """(B, C, h, w) -> products of channels, meaned over positions (B, C, C)."""
    return torch.einsum("bchw,bdhw->bcd", features, features) / (features.shape[-2] * features.shape[-1])


def feature_matching(features: Tensor, target: Tensor) -> Tensor:
    """0.25 mean||features - target||^2 + mean||Gram(features) - Gram(target)||^2, a scalar; the target is held fast."""
    with torch.autocast(features.device.type, enabled=False):
        found, wanted = features.float(), target.detach().float()
        return COMMITMENT * F.mse_loss(found, wanted) + F.mse_loss(gram(found), gram(wanted))
