"""SSIM and MS-SSIM (Wang et al. 2004, 2003), of two pictures whose moments are computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from tvqsr.score.colours import Colours, Samples
from tvqsr.score.picture import Picture

WINDOW = 11
"""Side of SSIM's window in pixels."""
SIGMA = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's scales, the finest first."""
MS_SSIM_LEAST = 161
"""Least side, in pixels, of an image whose fifth scale holds a window."""

_AXIS = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
_AXIS /= _AXIS.sum()


@dataclass(frozen=True)
class Moments:
    """Samples (H, W) or (H, W, C) in [0, 255], and local means of them and of their squares at valid positions."""

    samples: Samples
    mean: Samples
    mean_square: Samples


def moments(samples: Samples) -> Moments:
    return Moments(samples, _local_mean(samples), _local_mean(samples * samples))


def ssim_map(x: Moments, y: Moments, least_structure: float | None = None) -> Samples:
    """SSIM at each valid position, whose window lies in the image: (H - 10, W - 10), with C if the samples have.

    Gaussian window of 11 x 11 and 1.5, population covariances, channel by channel. `least_structure` cuts the
    contrast-structure term off below.
    """
    luminance, structure = _terms(x, y, least_structure)
    return luminance * structure


def ssim(sr: Picture, hr: Picture, colours: Colours, least_structure: float | None = None) -> float:
    """The mean of SSIM's map."""
    x, y = (_moments_of(picture, colours) for picture in (sr, hr))
    return float(ssim_map(x, y, least_structure).mean())


def ms_ssim(sr: Picture, hr: Picture, colours: Colours) -> float:
    """MS-SSIM of one channel: as pyiqa has it.

    Structure terms below 0 count as 0; a scale is the one above averaged over 2 x 2 samples, where a row or column of
    odd length gets zeros at both ends.
    """
    x, y = (_pyramid_of(picture, colours) for picture in (sr, hr))
    value = 1.0
    for scale, (weight, of_x, of_y) in enumerate(zip(SCALES, x, y, strict=True), 1):
        luminance, structure = _terms(of_x, of_y, 0.0)
        value *= float((luminance * structure if scale == len(SCALES) else structure).mean()) ** weight
    return value


def _terms(x: Moments, y: Moments, least_structure: float | None) -> tuple[Samples, Samples]:
    product = x.mean * y.mean
    squares = x.mean**2 + y.mean**2
    covariance = _local_mean(x.samples * y.samples) - product
    structure = (2 * covariance + C2) / (x.mean_square + y.mean_square - squares + C2)
    if least_structure is not None:
        np.maximum(structure, least_structure, out=structure)
    return (2 * product + C1) / (squares + C1), structure


def _local_mean(samples: NDArray[np.float64]) -> Samples:
    """Gaussian mean at valid positions."""
    half = WINDOW // 2
    rows = correlate1d(samples, _AXIS, axis=0)[half : samples.shape[0] - half]
    found: Samples = correlate1d(rows, _AXIS, axis=1)[:, half : samples.shape[1] - half]
    return found


def _moments_of(picture: Picture, colours: Colours) -> Moments:
    return picture.once(("moments", colours.name, colours.rounding), lambda: moments(colours(picture)))


def _pyramid_of(picture: Picture, colours: Colours) -> list[Moments]:
    """Moments at each scale, the finest first."""

    def make() -> list[Moments]:
        levels = [_moments_of(picture, colours)]
        while len(levels) < len(SCALES):
            levels.append(moments(_halved(levels[-1].samples)))
        return levels

    return picture.once(("pyramid", colours.name, colours.rounding), make)


def _halved(samples: Samples) -> Samples:
    height, width = (side % 2 for side in samples.shape)
    padded = np.pad(samples, ((height, height), (width, width)))
    rows, columns = (side // 2 * 2 for side in padded.shape)
    even = padded[:rows, :columns]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
