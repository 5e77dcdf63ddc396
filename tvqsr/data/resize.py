"""Resizing on the device of the images, as OpenCV and MATLAB do."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tvqsr.data.area import area_weights
from tvqsr.data.bicubic import resize_weights

Interpolation = Literal["area", "bilinear", "bicubic"]
"""OpenCV's INTER_AREA, INTER_LINEAR and INTER_CUBIC (a = -0.75, no antialiasing)."""


def resize(images: Tensor, size: tuple[int, int], mode: Interpolation) -> Tensor:
    """(B, C, H, W) float32 to (B, C, *size) as `cv2.resize` does; bicubic may leave the range of the samples.

    `F.interpolate(mode="area")` is another filter wherever the factor is no whole number: it takes every sample that an
    area touches for a whole one.
    """
    if tuple(images.shape[-2:]) == size:
        return images
    if mode == "area":
        rows, columns = (area_weights(length, out) for length, out in zip(images.shape[-2:], size, strict=True))
        return _weighted(images, rows, columns)
    return F.interpolate(images, size, mode=mode)


def matlab_resize(images: Tensor, scale: Fraction) -> Tensor:
    """(B, C, H, W) to (B, C, ceil(H scale), ceil(W scale)) as MATLAB's `imresize` does on floating-point samples."""
    rows, columns = (resize_weights(length, scale) for length in images.shape[-2:])
    return _weighted(images, rows, columns)


def on_device(array: NDArray[np.floating], device: torch.device) -> Tensor:
    """An array on the device, without waiting for it: hence pinned."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _weighted(images: Tensor, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Tensor:
    """Weights (h, H) and (w, W) applied to both sides; in float64, which no setting turns into TF32."""
    down, right = (on_device(weights.astype(np.float64), images.device) for weights in (rows, columns))
    return (down @ images.double() @ right.mT).float()
