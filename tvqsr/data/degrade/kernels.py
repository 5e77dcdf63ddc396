"""Blur kernels as arrays (Real-ESRGAN, arXiv 2107.10833, sections 3.1 and 3.3; BSRGAN, arXiv 2103.14006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.degrade.parameters import Kernel
from tvqsr.data.degrade.recipe import KERNEL_SIDE

Array = NDArray[np.float64]


def kernel_array(kernel: Kernel | None) -> Array:
    """The kernel in the middle of (KERNEL_SIDE, KERNEL_SIDE), float64 of sum 1. Without kernel the identity."""
    if kernel is None:
        kernel = Kernel("iso", 1, sigma_x=1.0, sigma_y=1.0)
    return np.pad(kernel_weights(kernel), (KERNEL_SIDE - kernel.size) // 2)


def kernel_weights(kernel: Kernel) -> Array:
    """The kernel as it is: (size, size) float64 of sum 1."""
    weights = _sinc(kernel) if kernel.kind == "sinc" else _bell(kernel)
    return weights / weights.sum()


def shifted_weights(kernel: Kernel, scale: int) -> Array:
    """The kernel as correlation weights that look (scale - 1) / 2 pixels to the right and downwards.

    Every `scale`-th pixel from the first on is then the middle of its block. The shift is linear, the edge is repeated
    and the sum is 1 again (BSRGAN, released code `shift_pixel`, which shifts the other way for a convolution).
    """
    from scipy import ndimage

    moved = ndimage.shift(kernel_weights(kernel), (scale - 1) / 2, order=1, mode="nearest")
    return np.asarray(moved / moved.sum())


def _grid(size: int) -> tuple[Array, Array]:
    """Distances to the middle, rightwards and downwards."""
    offsets = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(offsets, offsets)
    return x, y


def _bell(kernel: Kernel) -> Array:
    """Gaussian, generalized Gaussian or plateau, as a function of m = p' Sigma^-1 p with p the offset in pixels.

    exp(-m / 2); exp(-m^beta / 2), which is the Gaussian at beta 1; 1 / (1 + m^beta).
    """
    x, y = _grid(kernel.size)
    cos, sin = np.cos(kernel.rotation), np.sin(kernel.rotation)
    m = ((cos * x + sin * y) / kernel.sigma_x) ** 2 + ((cos * y - sin * x) / kernel.sigma_y) ** 2
    powered = m**kernel.beta
    return 1 / (1 + powered) if kernel.kind.startswith("plateau") else np.exp(-powered / 2)


def _sinc(kernel: Kernel) -> Array:
    """Ideal circular low-pass, cut off by the kernel's size: w J1(w r) / (2 pi r), and w^2 / (4 pi) in the middle."""
    from scipy.special import j1

    r = np.hypot(*_grid(kernel.size))
    middle = r == 0
    r[middle] = 1.0
    weights = kernel.cutoff * j1(kernel.cutoff * r) / (2 * np.pi * r)
    weights[middle] = kernel.cutoff**2 / (4 * np.pi)
    return np.asarray(weights)
