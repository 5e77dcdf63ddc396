"""What the published degradations draw from: ranges and probabilities, each with its source.

Sources, in short: [YAML] options/TVQRAP_stage2.yml of TVQ&RAP's released code; UPSR's YAML has the same numbers.
[TVQ] its data set and stage-2 model. [RE] Real-ESRGAN (arXiv 2107.10833, section 3 and its released configuration).
[RS] configs/degradation_testing_realesrgan.yaml of ResShift and its released data set, which made ImageNet-Test.
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


def _odd(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, 2))


_TRAINING_KINDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)

REALESRGAN = Recipe(
    sharpen=True,  # [TVQ]
    first=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [TVQ], [YAML] blur_kernel_size: 21
            kinds=_TRAINING_KINDS,  # [YAML] kernel_prob
            sinc_probability=0.1,  # [YAML] sinc_prob
            sigma=(0.2, 3.0),  # [YAML] blur_sigma
            beta_generalized=(0.5, 4.0),  # [YAML] betag_range
            beta_plateau=(1.0, 2.0),  # [YAML] betap_range
        ),
        blur_probability=1.0,  # [TVQ], always
        resize=ResizeRecipe(up=0.2, down=0.7, keep=0.1, range=(0.15, 1.5)),  # [YAML] resize_prob, resize_range
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [YAML] gaussian_noise_prob
            sigma=(1.0, 30.0),  # [YAML] noise_range
            poisson_scale=(0.05, 3.0),  # [YAML] poisson_scale_range
            grey_probability=0.4,  # [YAML] gray_noise_prob
        ),
    ),
    first_jpeg=(30.0, 95.0),  # [YAML] jpeg_range
    second=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [TVQ]; [YAML] says blur_kernel_size2: 15, which the code does not read
            kinds=_TRAINING_KINDS,  # [YAML] kernel_prob2
            sinc_probability=0.1,  # [YAML] sinc_prob2
            sigma=(0.2, 1.5),  # [YAML] blur_sigma2
            beta_generalized=(0.5, 4.0),  # [YAML] betag_range2
            beta_plateau=(1.0, 2.0),  # [YAML] betap_range2
        ),
        blur_probability=0.8,  # [YAML] second_blur_prob
        resize=ResizeRecipe(up=0.3, down=0.4, keep=0.3, range=(0.3, 1.2)),  # [YAML] resize_prob2, resize_range2
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [YAML] gaussian_noise_prob2
            sigma=(1.0, 25.0),  # [YAML] noise_range2
            poisson_scale=(0.05, 2.5),  # [YAML] poisson_scale_range2
            grey_probability=0.4,  # [YAML] gray_noise_prob2
        ),
    ),
    second_probability=0.5,  # [YAML] second_order_prob
    last_sinc_probability=0.8,  # [YAML] final_sinc_prob
    last_sinc_sizes=_odd(7, 21),  # [TVQ]
    last_jpeg=(30.0, 95.0),  # [YAML] jpeg_range2
)
"""Training of TVQ&RAP's stages 2 and 3 and of UPSR: Real-ESRGAN's pipeline with half as many second stages."""

_TEST_KINDS = (0.6, 0.4, 0.0, 0.0, 0.0, 0.0)

RESSHIFT_TEST = Recipe(
    sharpen=False,  # [RS] degrades the plain HR
    first=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(3, 11),  # [RS]: blur_kernel_size: 13 is the end, left out, of the range of sizes
            kinds=_TEST_KINDS,  # [RS] kernel_prob
            sinc_probability=0.1,  # [RS] sinc_prob
            sigma=(0.2, 0.8),  # [RS] blur_sigma
            beta_generalized=(1.0, 1.5),  # [RS] betag_range
            beta_plateau=(1.0, 1.2),  # [RS] betap_range
        ),
        blur_probability=1.0,  # [RS], always
        resize=ResizeRecipe(up=0.2, down=0.7, keep=0.1, range=(0.5, 1.5)),  # [RS] resize_prob, resize_range
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RS] gaussian_noise_prob
            sigma=(1.0, 15.0),  # [RS] noise_range
            poisson_scale=(0.05, 0.3),  # [RS] poisson_scale_range
            grey_probability=0.4,  # [RS] gray_noise_prob
        ),
    ),
    first_jpeg=(70.0, 95.0),  # [RS] jpeg_range
    second=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(3, 5),  # [RS]: blur_kernel_size2: 7 is left out likewise
            kinds=_TEST_KINDS,  # [RS] kernel_prob2
            sinc_probability=0.0,  # [RS] sinc_prob2
            sigma=(0.2, 0.5),  # [RS] blur_sigma2
            beta_generalized=(0.5, 0.8),  # [RS] betag_range2
            beta_plateau=(1.0, 1.2),  # [RS] betap_range2
        ),
        blur_probability=0.2,  # [RS] second_blur_prob
        resize=ResizeRecipe(up=0.3, down=0.4, keep=0.3, range=(0.8, 1.2)),  # [RS] resize_prob2, resize_range2
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RS] gaussian_noise_prob2
            sigma=(1.0, 10.0),  # [RS] noise_range2
            poisson_scale=(0.05, 0.2),  # [RS] poisson_scale_range2
            grey_probability=0.4,  # [RS] gray_noise_prob2
        ),
    ),
    second_probability=0.0,  # [RS] second_order_prob
    last_sinc_probability=0.2,  # [RS] final_sinc_prob
    last_sinc_sizes=_odd(3, 5),  # [RS]
    last_jpeg=(80.0, 100.0),  # [RS] jpeg_range2
)
"""What made ImageNet-Test of ResShift, on which TVQ&RAP reports: milder than any training."""

RECIPES: dict[str, Recipe] = {"realesrgan": REALESRGAN, "resshift_test": RESSHIFT_TEST}
"""By the name that a preset gives."""
