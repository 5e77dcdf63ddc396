"""What one image undergoes: every random choice but the noise fields themselves, drawn in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tvqsr.data.degrade.recipe import (
    BLURS,
    RESIZE_MODES,
    BlurRecipe,
    KernelKind,
    NoiseRecipe,
    Range,
    Recipe,
    ResizeMode,
    ResizeRecipe,
    StageRecipe,
)


@dataclass(frozen=True)
class Kernel:
    """A blur kernel: side in pixels (odd), sigmas in pixels, rotation and cutoff in radians.

    `sinc` has a cutoff and no sigmas, the other kinds the reverse. `beta` is 1 for kinds without a shape parameter.
    """

    kind: KernelKind
    size: int
    sigma_x: float = 0.0
    sigma_y: float = 0.0
    rotation: float = 0.0
    beta: float = 1.0
    cutoff: float = 0.0


@dataclass(frozen=True)
class Resize:
    """Factor (1 = keep) and the way to interpolate."""

    factor: float
    mode: ResizeMode


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of standard deviation `strength` in 8-bit levels, or `strength` times the image's shot noise."""

    kind: Literal["gaussian", "poisson"]
    strength: float
    grey: bool


@dataclass(frozen=True)
class Stage:
    """One stage; without `blur` it has none."""

    blur: Kernel | None
    resize: Resize
    noise: Noise


@dataclass(frozen=True)
class Parameters:
    """All that decides, with its pixels, the LR of an image. `second` is None where there is no second stage."""

    first: Stage
    first_jpeg: float
    second: Stage | None
    last_mode: ResizeMode
    last_sinc: Kernel | None
    last_jpeg: float
    jpeg_comes_last: bool
    noise_seed: int
    """Seed of the generator, on the image's device, of the noise fields."""


def draw(recipe: Recipe, seed: Sequence[int]) -> Parameters:
    """Parameters of one image from its seed, a sequence of integers >= 0 such as [seed, step, position].

    The same on every device. Released code draws resize factors and modes, the kind of noise, the second stage and
    the order of the last JPEG once per batch, and mixes batches in a pool of 184 to 224 pairs to make up for it. Here
    every image draws its own, which is what an endless pool would give, and a batch stays a pure function of its seeds.
    """
    random = np.random.default_rng(list(seed))
    return Parameters(
        first=_stage(recipe.first, random),
        first_jpeg=random.uniform(*recipe.first_jpeg),
        second=_stage(recipe.second, random) if _happens(recipe.second_probability, random) else None,
        last_mode=_mode(random),
        last_sinc=_last_sinc(recipe, random) if _happens(recipe.last_sinc_probability, random) else None,
        last_jpeg=random.uniform(*recipe.last_jpeg),
        jpeg_comes_last=_happens(0.5, random),
        noise_seed=int(random.integers(2**63)),
    )


def _happens(probability: float, random: np.random.Generator) -> bool:
    return bool(random.random() < probability)


def _mode(random: np.random.Generator) -> ResizeMode:
    return RESIZE_MODES[random.integers(len(RESIZE_MODES))]


def _stage(recipe: StageRecipe, random: np.random.Generator) -> Stage:
    blur = _kernel(recipe.blur, random) if _happens(recipe.blur_probability, random) else None
    return Stage(blur, _resize(recipe.resize, random), _noise(recipe.noise, random))


def _kernel(recipe: BlurRecipe, random: np.random.Generator) -> Kernel:
    size = int(random.choice(recipe.sizes))
    if _happens(recipe.sinc_probability, random):
        # A small kernel cannot hold the slow ripples of a low cutoff.
        return Kernel("sinc", size, cutoff=random.uniform(*(recipe.cutoff_small if size < 13 else recipe.cutoff_large)))
    kind = BLURS[random.choice(len(BLURS), p=recipe.kinds)]
    beta = 1.0
    if kind.startswith("generalized"):
        beta = _beta(recipe.beta_generalized, random)
    if kind.startswith("plateau"):
        beta = _beta(recipe.beta_plateau, random)
    sigma_x = random.uniform(*recipe.sigma)
    if kind.endswith("aniso"):
        return Kernel(kind, size, sigma_x, random.uniform(*recipe.sigma), random.uniform(*recipe.rotation), beta)
    return Kernel(kind, size, sigma_x, sigma_x, beta=beta)


def _beta(ends: Range, random: np.random.Generator) -> float:
    return random.uniform(ends[0], 1.0) if _happens(0.5, random) else random.uniform(1.0, ends[1])


def _resize(recipe: ResizeRecipe, random: np.random.Generator) -> Resize:
    way = random.choice(3, p=(recipe.up, recipe.down, recipe.keep))
    low, high = ((1.0, recipe.range[1]), (recipe.range[0], 1.0), (1.0, 1.0))[way]
    return Resize(random.uniform(low, high), _mode(random))


def _noise(recipe: NoiseRecipe, random: np.random.Generator) -> Noise:
    grey = _happens(recipe.grey_probability, random)
    if _happens(recipe.gaussian_probability, random):
        return Noise("gaussian", random.uniform(*recipe.sigma), grey)
    return Noise("poisson", random.uniform(*recipe.poisson_scale), grey)


def _last_sinc(recipe: Recipe, random: np.random.Generator) -> Kernel:
    return Kernel("sinc", int(random.choice(recipe.last_sinc_sizes)), cutoff=random.uniform(*recipe.last_sinc_cutoff))
