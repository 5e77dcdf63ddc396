"""A degradation as a chain of steps, each image its own: where not only the parameters but the order is random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from tvqsr.data.degrade.filters import correlate
from tvqsr.data.degrade.jpeg import jpeg
from tvqsr.data.degrade.kernels import Array, kernel_weights, shifted_weights
from tvqsr.data.degrade.noise import add_mixed, add_photons
from tvqsr.data.degrade.parameters import Kernel, Resize
from tvqsr.data.resize import Interpolation, matlab_resize, on_device, resize


@dataclass(frozen=True)
class Blur:
    kernel: Kernel


@dataclass(frozen=True)
class Halve:
    """MATLAB's antialiased bicubic to half the size."""


@dataclass(frozen=True)
class Subsample:
    """Every `scale`-th pixel of the image blurred by the kernel, shifted so that LR shows what HR does."""

    kernel: Kernel
    scale: int


@dataclass(frozen=True)
class ToLr:
    """Resize to the size of LR."""

    mode: Interpolation


@dataclass(frozen=True)
class MixedNoise:
    """Gaussian noise; `mixing` (3 rows) times independent standard normal fields, in units of full range."""

    mixing: tuple[tuple[float, ...], ...]
    speckle: bool = False


@dataclass(frozen=True)
class PhotonNoise:
    """Shot noise; `photons` for a full pixel."""

    photons: float
    grey: bool


@dataclass(frozen=True)
class Jpeg:
    quality: int


Step = Blur | Halve | Resize | Subsample | ToLr | MixedNoise | PhotonNoise | Jpeg
"""`Resize` is by a factor, to sides rounded down and no less than one pixel."""


@dataclass(frozen=True)
class Chain:
    """All that decides, with its pixels, the LR of an image."""

    steps: tuple[Step, ...]
    noise_seed: int
    """Seed of the generator, on the image's device, of the noise fields."""


@dataclass(frozen=True)
class ChainRecipe:
    """A degradation that draws its steps: `steps` from a random generator and the scale."""

    scales: tuple[int, ...]
    """Scales that it was published for."""
    sharpen: bool
    """Whether HR goes in sharpened by an unsharp mask; targets of losses never are."""
    steps: Callable[[np.random.Generator, int], list[Step]]


def draw_chain(recipe: ChainRecipe, seed: Sequence[int], scale: int = 4) -> Chain:
    """Steps of one image from its seed, a sequence of integers >= 0; the same on every device."""
    random = np.random.default_rng(list(seed))
    noise_seed = int(random.integers(2**63))
    return Chain(tuple(recipe.steps(random, scale)), noise_seed)


def run_chain(image: Tensor, chain: Chain, size: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) in [0, 1] through all steps, in [0, 1]; `size` is that of LR."""
    generator = torch.Generator(image.device).manual_seed(chain.noise_seed)
    for step in chain.steps:
        image = _run(image, step, size, generator).clamp(0, 1)
    return image


def _run(image: Tensor, step: Step, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    match step:
        case Blur(kernel):
            return _filtered(image, kernel_weights(kernel))
        case Halve():
            return matlab_resize(image, Fraction(1, 2))
        case Resize(factor, mode):
            height, width = (max(1, int(side * factor)) for side in image.shape[-2:])
            return resize(image, (height, width), mode)
        case Subsample(kernel, scale):
            return _filtered(image, shifted_weights(kernel, scale))[..., ::scale, ::scale]
        case ToLr(mode):
            return resize(image, size, mode)
        case MixedNoise(mixing, speckle):
            return add_mixed(image, on_device(np.array(mixing, np.float32), image.device), speckle, generator)
        case PhotonNoise(photons, grey):
            return add_photons(image, photons, grey, generator)
        case Jpeg(quality):
            return _to_8_bits(jpeg(_to_8_bits(image), [quality]))


def _filtered(image: Tensor, weights: Array) -> Tensor:
    return correlate(image, on_device(weights.astype(np.float32), image.device).unsqueeze(0))


def _to_8_bits(image: Tensor) -> Tensor:
    """Released code encodes and decodes files of 8-bit samples."""
    return image.mul(255).round().div(255)
