"""Whether an image made again is the one in the bundle, and how near two machines come to one another.

Measured on `mini` (14 networks of two seeds, five photos): on the CPU of the record and with its threads, equal to the
bit; with other threads or convolutions, 0.003 % of the samples one level of 255 apart and none more, with noise of 1e-6
in every product 0.02 %. With products rounded to TF32, as GPUs do, some codes flip: up to 1.3 % of the samples of an
image are more than one level apart, and it is at 45 dB or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvqsr.data.images import Pixels

CPU_SHARE, GPU_SHARE = 1e-3, 0.03
"""Most samples of an image that may be more than one level apart, by where the record says that it was made."""
GPU_DB = 40.0
"""PSNR between a GPU's image and the one made again below which no rounding explains the difference."""


@dataclass(frozen=True)
class Distance:
    """How far an image is from the one made again."""

    equal: bool
    far: float
    """Share of samples more than one level of 255 apart."""
    db: float

    def __str__(self) -> str:
        return f"{self.far:.2%} of its samples are more than 1/255 off, at {self.db:.1f} dB"


def distance(stored: Pixels, made: Pixels) -> Distance:
    """Of two images (H, W, 3); of different sizes, infinitely far."""
    if stored.shape != made.shape:
        return Distance(False, 1.0, 0.0)
    levels = np.abs(stored.astype(np.int16) - made)
    error = float(np.square(levels, dtype=np.float64).mean())
    return Distance(not levels.any(), float((levels > 1).mean()), 10 * np.log10(255**2 / error) if error else np.inf)


def is_near(apart: Distance, on_cpu: bool) -> bool:
    return apart.far <= (CPU_SHARE if on_cpu else GPU_SHARE)


def may_be_rounding(apart: Distance, on_cpu: bool) -> bool:
    """Whether a difference beyond that could still be that of a GPU whose codes flip more often than those measured."""
    return not on_cpu and apart.db >= GPU_DB
