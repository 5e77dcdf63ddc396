"""What a degradation draws from: ranges and probabilities, in the terms of Real-ESRGAN's configuration.

Values that no configuration holds are defaults here: [RE] Real-ESRGAN (arXiv 2107.10833, section 3, and its released
code), [TVQ] TVQ&RAP's released data set and stage-2 model, [RS] ResShift's released data set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Range = tuple[float, float]
"""Ends of a uniform distribution."""

KernelKind = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc"]
BLURS: tuple[KernelKind, ...] = (
    "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso",
)  # fmt: skip
"""Kinds that `BlurRecipe.kinds` gives probabilities of, in the order of the published lists."""

ResizeMode = Literal["area", "bilinear", "bicubic"]
RESIZE_MODES: tuple[ResizeMode, ...] = ("area", "bilinear", "bicubic")
"""Equally likely [RE, TVQ, RS]; none has antialiasing beyond what `area` is by itself."""

KERNEL_SIDE = 21
"""Kernels are padded with zeros to this side, the largest size, so that they stack [RE, TVQ]."""


@dataclass(frozen=True)
class BlurRecipe:
    """Kernels of one stage: a sinc low-pass with `sinc_probability`, else one of `BLURS`.

    Sizes are odd and equally likely. Sigmas are in pixels, angles and cutoffs in radians. `beta_*` are drawn half the
    time below 1 and half the time above, uniformly on either side [RE].
    """

    sizes: tuple[int, ...]
    kinds: tuple[float, ...]
    sinc_probability: float
    sigma: Range
    beta_generalized: Range
    beta_plateau: Range
    rotation: Range = (-math.pi, math.pi)  # [RE, TVQ, RS]: passed by the data sets, in no configuration
    cutoff_small: Range = (math.pi / 3, math.pi)  # [RE, TVQ, RS]: kernels below 13 pixels
    cutoff_large: Range = (math.pi / 5, math.pi)  # [RE, TVQ, RS]: kernels of 13 pixels and more


@dataclass(frozen=True)
class ResizeRecipe:
    """Factor in (1, range[1]) with probability `up`, in (range[0], 1) with `down`, exactly 1 with `keep`."""

    up: float
    down: float
    keep: float
    range: Range


@dataclass(frozen=True)
class NoiseRecipe:
    """Gaussian noise with `gaussian_probability`, else Poisson noise; either of them grey with `grey_probability`.

    `sigma` is in 8-bit levels, `poisson_scale` a factor on the shot noise of the image.
    """

    gaussian_probability: float
    sigma: Range
    poisson_scale: Range
    grey_probability: float


@dataclass(frozen=True)
class StageRecipe:
    """Blur (with `blur_probability`), resize, noise."""

    blur: BlurRecipe
    blur_probability: float
    resize: ResizeRecipe
    noise: NoiseRecipe


@dataclass(frozen=True)
class Recipe:
    """A degradation: first stage, JPEG, second stage with `second_probability`, resize to LR, sinc filter and JPEG.

    The last JPEG comes before or after (resize to LR, sinc filter), equally likely [RE, TVQ, RS]. `first_jpeg` and
    `last_jpeg` are libjpeg qualities; the last one is drawn from the second stage's published range whether or not
    there is a second stage [TVQ, RS].
    """

    scales: tuple[int, ...]
    """Scales that it was published for."""
    sharpen: bool
    """Whether HR goes in sharpened by an unsharp mask; targets of losses never are."""
    first: StageRecipe
    first_jpeg: Range
    second: StageRecipe
    second_probability: float
    last_sinc_probability: float
    last_sinc_sizes: tuple[int, ...]
    last_jpeg: Range
    last_sinc_cutoff: Range = (math.pi / 3, math.pi)  # [RE, TVQ, RS], of every size
