"""MATLAB's `imresize(image, scale, 'bicubic')` on 8-bit images, to the last bit.

Keys' kernel with a = -0.5, widened by 1/scale when shrinking (antialiasing), symmetric border, rows first and then
columns, each pass rounded (half away from zero) and clipped to 8 bits. Checked against the published LR of Set5 and
Set14.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.images import Pixels


def resize(pixels: Pixels, scale: Fraction) -> Pixels:
    """Resize (H, W, C) uint8 to (ceil(H scale), ceil(W scale), C)."""
    once = _resize_rows(pixels, scale)
    return _resize_rows(once.transpose(1, 0, 2), scale).transpose(1, 0, 2)


def resize_weights(length: int, scale: Fraction) -> NDArray[np.float64]:
    """(ceil(length scale), length): row o holds what each sample counts in output sample o, before any rounding."""
    weights, positions = _contributions(length, scale)
    dense = np.zeros((weights.shape[0], length))
    np.add.at(dense, (np.arange(weights.shape[0])[:, None], positions), weights)
    return dense


def downscale(pixels: Pixels, scale: int) -> Pixels:
    """LR of an HR photo whose sides are multiples of `scale`."""
    return resize(pixels, Fraction(1, scale))


def mod_crop(pixels: Pixels, multiple: int) -> Pixels:
    """Cut right and bottom so that both sides are multiples of `multiple`."""
    height, width = pixels.shape[:2]
    return pixels[: height - height % multiple, : width - width % multiple]


def _resize_rows(pixels: Pixels, scale: Fraction) -> Pixels:
    weights, rows = _contributions(pixels.shape[0], scale)
    out = np.zeros((weights.shape[0], *pixels.shape[1:]), dtype=np.float64)
    for tap in range(weights.shape[1]):
        out += weights[:, tap, None, None] * pixels[rows[:, tap]]
    return np.floor(np.clip(out, 0, 255) + 0.5).astype(np.uint8)


def _contributions(length: int, scale: Fraction) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weights (out, taps) and source positions (out, taps) of each output position."""
    factor = float(scale)
    stretch = min(factor, 1.0)
    support = 4.0 / stretch
    taps = math.ceil(support) + 2
    centre = (np.arange(math.ceil(length * scale)) + 0.5) / factor - 0.5
    first = np.floor(centre - support / 2).astype(np.int64)
    positions = first[:, None] + np.arange(taps)[None, :]
    weights = stretch * _keys(stretch * (centre[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.any(weights != 0, axis=0)
    return weights[:, used], _mirror(positions[:, used], length)


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _mirror(positions: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Positions outside, reflected with the edge pixel repeated."""
    folded = np.mod(positions, 2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
