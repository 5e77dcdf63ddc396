"""Noise of one image: Real-ESRGAN's (arXiv 2107.10833, section 3.1) and BSRGAN's (arXiv 2103.14006), by their codes."""

from __future__ import annotations

import torch
from torch import Tensor

from tvqsr.data.degrade.parameters import Noise


def add_noise(image: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """Add the drawn noise to (1, 3, H, W) in [0, 1], clamped. The generator is on the image's device."""
    if noise.kind == "gaussian":
        return add_gaussian(image, noise.strength, noise.grey, generator)
    return add_poisson(image, noise.strength, noise.grey, generator)


def add_gaussian(image: Tensor, sigma: float, grey: bool, generator: torch.Generator) -> Tensor:
    """Gaussian noise of `sigma` 8-bit levels; `grey` gives the three channels the same field."""
    shape = image[:, :1].shape if grey else image.shape
    field = torch.randn(shape, generator=generator, device=image.device)
    return (image + field * (sigma / 255)).clamp(0, 1)


def add_poisson(image: Tensor, scale: float, grey: bool, generator: torch.Generator) -> Tensor:
    """Shot noise of the image rounded to 8 bits (`grey`: of its luma, the same in all channels), times `scale`.

    A full pixel counts as many photons as the image has levels, up to the next power of two: scikit-image's rule,
    which Real-ESRGAN follows.
    """
    levels = (_luma(image) if grey else image).mul(255).round().clamp(0, 255)
    photons = _photons(levels)
    expected = levels / 255
    field = torch.poisson(expected * photons, generator=generator) / photons - expected
    return (image + field * scale).clamp(0, 1)


def add_mixed(image: Tensor, mixing: Tensor, speckle: bool, generator: torch.Generator) -> Tensor:
    """Gaussian noise on (1, 3, H, W): `mixing` (3, n) times n independent standard normal fields, clamped.

    Its covariance over the channels is `mixing @ mixing.T`; `speckle` multiplies it by the image.
    """
    fields = torch.randn(mixing.shape[1], *image.shape[-2:], generator=generator, device=image.device)
    noise = (mixing[:, :, None, None] * fields).sum(dim=1)
    return (image + (image * noise if speckle else noise)).clamp(0, 1)


def add_photons(image: Tensor, photons: float, grey: bool, generator: torch.Generator) -> Tensor:
    """Shot noise of the image rounded to 8 bits, of `photons` for a full pixel.

    `grey` adds that of the luma, rounded likewise, to all channels.
    """
    image = image.mul(255).round().clamp(0, 255).div(255)
    expected = _luma(image).mul(255).round().div(255) if grey else image
    counted = torch.poisson(expected * photons, generator=generator) / photons
    return (image + (counted - expected)).clamp(0, 1)


def _luma(image: Tensor) -> Tensor:
    """ITU-R BT.601 luma: (1, 3, H, W) -> (1, 1, H, W)."""
    red, green, blue = image.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _photons(levels: Tensor) -> Tensor:
    """Number of different levels (integers in 0..255), up to the next power of two; counted without a host sync."""
    present = torch.zeros(256, device=levels.device).index_fill_(0, levels.flatten().long(), 1.0)
    # A power of two must not be taken for more because its logarithm came out an ulp high.
    return torch.exp2((present.sum().log2() - 1e-3).ceil())
