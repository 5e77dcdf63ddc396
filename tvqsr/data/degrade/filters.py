"""Filtering with mirrored borders, and the unsharp mask."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

USM_WEIGHT = 0.5
USM_TAPS = 51
USM_SIGMA = 8.0
USM_THRESHOLD = 10 / 255
"""Real-ESRGAN's unsharp mask: weight 0.5, radius 50 and threshold 10 of 255.

Its "radius" is the number of taps, made odd; a Gaussian of 51 taps whose sigma is not given has
0.3 ((51 - 1) / 2 - 1) + 0.8 = 8 (OpenCV's documentation of getGaussianKernel).
"""


def correlate(images: Tensor, kernels: Tensor) -> Tensor:
    """Filter (B, C, H, W) with one kernel per image, (B, kh, kw) of odd sides; borders mirror without the edge pixel.

    Each channel is a group of its own: on GPUs PyTorch's own depthwise kernel then does it, in full float32, where
    cuDNN would take TF32.
    """
    batch, channels = images.shape[:2]
    taps = kernels.repeat_interleave(channels, dim=0).unsqueeze(1)
    padded = _mirrored(_mirrored(images, -2, kernels.shape[-2] // 2), -1, kernels.shape[-1] // 2)
    planes = padded.reshape(1, batch * channels, *padded.shape[-2:])
    return F.conv2d(planes, taps, groups=batch * channels).view_as(images)


def _mirrored(images: Tensor, dim: int, radius: int) -> Tensor:
    """Pad one side of any length: unlike `F.pad`, also where the radius exceeds it, as in a shrunk training crop."""
    length = images.shape[dim]
    period = max(1, 2 * (length - 1))
    positions = torch.arange(-radius, length + radius, device=images.device).remainder(period)
    return images.index_select(dim, torch.minimum(positions, period - positions) if length > 1 else positions)


def sharpen(images: Tensor) -> Tensor:
    """Unsharp mask of (B, 3, H, W) in [0, 1], for the degradation's input; the images themselves stay as they are.

    Where an image is further than the threshold from its blurred self, the difference is added with the weight; the
    place is blended in by the blurred mask (released code of Real-ESRGAN).
    """
    detail = images - _gaussian_blur(images)
    mask = _gaussian_blur((detail.abs() > USM_THRESHOLD).float())
    sharp = (images + USM_WEIGHT * detail).clamp(0, 1)
    return torch.lerp(images, sharp, mask)


def _gaussian_blur(images: Tensor) -> Tensor:
    taps = _gaussian_taps(images.device).expand(images.shape[0], -1)
    return correlate(correlate(images, taps.unsqueeze(-1)), taps.unsqueeze(-2))


@cache
def _gaussian_taps(device: torch.device) -> Tensor:
    offsets = torch.arange(USM_TAPS, device=device) - (USM_TAPS - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * USM_SIGMA**2))
    return weights / weights.sum()
