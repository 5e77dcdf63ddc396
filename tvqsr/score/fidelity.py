"""PSNR, of pictures in any colours, and after both were shrunk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.score.colours import Colours, Samples
from tvqsr.score.picture import Picture

EPSILON = 1e-8
"""Added to the mean squared error of samples in [0, 1], as pyiqa does: identical images score 80 dB, not infinity."""


def psnr_of(image: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio in dB of samples in [0, 255], over all positions and channels together."""
    error = np.mean(((image - reference) / 255.0) ** 2)
    return float(-10.0 * np.log10(error + EPSILON))


def psnr(sr: Picture, hr: Picture, colours: Colours) -> float:
    return psnr_of(colours(sr), colours(hr))


def lr_psnr(sr: Picture, hr: Picture) -> float:
    """PSNR in RGB after both were shrunk x4 as LR is: what was kept of the input."""
    return psnr_of(_shrunk(sr), _shrunk(hr))


def _shrunk(picture: Picture) -> Samples:
    return picture.once("shrunk", lambda: downscale(mod_crop(picture.pixels, 4), 4).astype(np.float64))
