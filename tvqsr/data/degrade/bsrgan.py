"""What BSRGAN's two degradations draw (arXiv 2103.14006, section 3, and cszn/BSRGAN's `utils/utils_blindsr.py`).

The paper's is the training degradation of BSRGAN, FeMaSR and AdaCode; `plus`, which takes operators of Real-ESRGAN in,
made FeMaSR's synthetic test sets (its README). All values are of the released code, `plus` in the version that FeMaSR
carries (an earlier one has no camera and shuffles a tenth of the images). The camera pipeline (probability 0.25, or 0.1
in `plus`) does nothing there, since no model of it comes with the code; it is left out. The code of `plus` returns the
sharpened HR as the reference; here HR stays what it is.
"""

from __future__ import annotations

import numpy as np

from tvqsr.data.degrade.chain import (
    Blur,
    ChainRecipe,
    Halve,
    Jpeg,
    MixedNoise,
    PhotonNoise,
    Step,
    Subsample,
    ToLr,
)
from tvqsr.data.degrade.kernels import Array
from tvqsr.data.degrade.parameters import Kernel, Resize
from tvqsr.data.degrade.recipe import RESIZE_MODES, ResizeMode

BLUR_SIZES = tuple(range(7, 26, 2))
NOISE_LEVELS = (2, 25)
"""Standard deviation in 8-bit levels, a whole number."""
JPEG_QUALITIES = (30, 95)
"""Whole numbers."""
SUBSAMPLE_SIZE = 25
POISSON_PROBABILITY = 0.1
SPECKLE_PROBABILITY = 0.1
PHOTONS = (2.0, 4.0)
"""Logarithm to the base of ten of the photons of a full pixel."""


def bsrgan_steps(random: np.random.Generator, scale: int) -> list[Step]:
    """BSRGAN's own: two blurs, two resizings, noise and JPEG in random order, then JPEG.

    A fourth of the images is halved beforehand where the scale is 4, and goes on like one of scale 2.
    """
    first: list[Step] = []
    if scale == 4 and random.random() < 0.25:
        first.append(Halve() if random.random() < 0.5 else Resize(0.5, _mode(random)))
        scale = 2
    shrinking, to_lr = _shrinking(random, scale), ToLr(_mode(random))
    middle: list[Step] = [_blur(random, scale), _blur(random, scale), shrinking, to_lr, _gaussian(random)]
    if random.random() < 0.9:
        middle.append(_jpeg(random))
    shuffled = _shuffled(middle, random)
    early, late = sorted((shuffled.index(shrinking), shuffled.index(to_lr)))
    shuffled[early], shuffled[late] = shrinking, to_lr
    return [*first, *shuffled, _jpeg(random)]


def bsrgan_plus_steps(random: np.random.Generator, scale: int) -> list[Step]:
    """The extended one: two rounds of blur, resizing and noise with JPEG in between, then to LR's size, and JPEG.

    Half the time all is in random order, half the time only the noise of each round is.
    """
    rounds: list[list[Step]] = [[_blur(random, scale), _resize(random, scale)] for _ in range(2)]
    noise = [_noise(random) for _ in range(2)]
    middle = _jpeg(random)
    if random.random() < 0.5:
        steps = _shuffled([*rounds[0], *noise[0], middle, *rounds[1], *noise[1]], random)
    else:
        quiet = [_shuffled(of_round, random) for of_round in noise]
        steps = [*rounds[0], *quiet[0], middle, *rounds[1], *quiet[1]]
    return [*steps, ToLr(_mode(random)), _jpeg(random)]


BSRGAN = ChainRecipe(scales=(2, 4), sharpen=False, steps=bsrgan_steps)
BSRGAN_PLUS = ChainRecipe(scales=(2, 4), sharpen=True, steps=bsrgan_plus_steps)


def _shuffled(steps: list[Step], random: np.random.Generator) -> list[Step]:
    return [steps[place] for place in random.permutation(len(steps))]


def _mode(random: np.random.Generator) -> ResizeMode:
    return RESIZE_MODES[random.integers(len(RESIZE_MODES))]


def _blur(random: np.random.Generator, scale: int) -> Blur:
    """Half the time an anisotropic Gaussian whose *variances* are up to 4 + scale, else an isotropic one."""
    size = int(random.choice(BLUR_SIZES))
    if random.random() < 0.5:
        across, along = np.sqrt(random.uniform(0, 4 + scale, 2))
        return Blur(Kernel("aniso", size, float(across), float(along), random.uniform(0, np.pi)))
    sigma = random.uniform(0, 2 + 0.2 * scale)
    return Blur(Kernel("iso", size, sigma, sigma))


def _shrinking(random: np.random.Generator, scale: int) -> Resize | Subsample:
    if random.random() < 0.75:
        return Resize(1 / random.uniform(1, 2 * scale), _mode(random))
    sigma = random.uniform(0.1, 0.6 * scale)
    return Subsample(Kernel("iso", SUBSAMPLE_SIZE, sigma, sigma), scale)


def _resize(random: np.random.Generator, scale: int) -> Resize:
    low, high = ((1.0, 2.0), (0.5 / scale, 1.0), (1.0, 1.0))[random.choice(3, p=(0.2, 0.7, 0.1))]
    return Resize(random.uniform(low, high), _mode(random))


def _jpeg(random: np.random.Generator) -> Jpeg:
    return Jpeg(int(random.integers(JPEG_QUALITIES[0], JPEG_QUALITIES[1], endpoint=True)))


def _noise(random: np.random.Generator) -> list[Step]:
    """One round's noise in `plus`."""
    noise: list[Step] = [_gaussian(random)]
    if random.random() < POISSON_PROBABILITY:
        noise.append(PhotonNoise(10 ** random.uniform(*PHOTONS), grey=bool(random.random() < 0.5)))
    if random.random() < SPECKLE_PROBABILITY:
        noise.append(_gaussian(random, speckle=True))
    return noise


def _gaussian(random: np.random.Generator, speckle: bool = False) -> MixedNoise:
    """Alike in all channels (0.4), independent (0.4), or correlated (0.2), the latter at the largest level."""
    sigma = float(random.integers(NOISE_LEVELS[0], NOISE_LEVELS[1], endpoint=True)) / 255
    way = random.choice(3, p=(0.4, 0.4, 0.2))
    mixing = (np.full((3, 1), sigma), sigma * np.eye(3))[way] if way < 2 else _correlated(random)
    return MixedNoise(tuple(tuple(map(float, row)) for row in mixing), speckle)


def _correlated(random: np.random.Generator) -> Array:
    """A root of the covariance |L^2 U' D U|: L the largest level, U orthogonal, D diagonal in (0, 1).

    The absolute values of a 3 x 3 covariance are one, too: its determinant can only have grown.
    """
    weights = np.diag(random.random(3))
    basis = np.linalg.svd(random.random((3, 3)))[0]
    return np.linalg.cholesky(np.abs(basis.T @ weights @ basis)) * (NOISE_LEVELS[1] / 255)
