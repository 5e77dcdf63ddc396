"""LDL's artifact loss (arXiv 2203.09195, section 3): L1 where the generator is worse than its own running average.

Details beyond the paper are of the authors' code (csjliang/LDL, basicsr/losses/LDL_loss.py): unbiased variances,
reflected borders, and gradients through the weights, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 7
ROOT = 0.2
LEAST_VARIANCE = 1e-12
"""The gradient of a fifth root is infinite at zero."""


def artifact_map(sr: Tensor, averaged: Tensor, hr: Tensor) -> Tensor:
    """How much each pixel looks like an artifact, (B, 1, H, W) >= 0, of images (B, 3, H, W) with sides of 4 or more.

    Variance of the residual around a pixel, scaled by the fifth root of its variance over the image; 0 where `sr` is
    nearer to `hr` than the running average's image is.
    """
    residual = (hr - sr).abs().sum(dim=1, keepdim=True)
    of_average = (hr - averaged).abs().sum(dim=1, keepdim=True)
    of_image = residual.var(dim=(1, 2, 3), keepdim=True).clamp(min=LEAST_VARIANCE) ** ROOT
    weight = of_image * _local_variance(residual)
    return torch.where(residual < of_average, torch.zeros_like(weight), weight)


def artifact_loss(sr: Tensor, averaged: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of `sr` and `hr`, both weighted by the artifact map: a scalar."""
    weight = artifact_map(sr, averaged, hr)
    return F.l1_loss(weight * sr, weight * hr)


def _local_variance(residual: Tensor) -> Tensor:
    """Unbiased variance in the 7 x 7 window around each position of (B, 1, H, W)."""
    windows = F.unfold(F.pad(residual, [WINDOW // 2] * 4, mode="reflect"), WINDOW)
    return windows.var(dim=1).view_as(residual)
