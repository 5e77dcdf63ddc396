"""Whether an image made again is the one in the bundle, and how near two machines come to one another.

Measured on `mini` (14 networks of two seeds, five photos): on the CPU of the record and with its threads, equal to the
bit; with other threads or convolutions, 0.003 % of the samples one level of 255 apart and none more, with noise of 1e-6
in every product 0.02 %. With products rounded to TF32, as GPUs do, some codes flip: up to 1.3 % of the samples of an
image are more than one level apart, and it is at 45 dB or more.

Rounding does not know HR: PSNR to HR moved by less than 0.0001 dB with noise and, of five networks with TF32, by
0.01 dB at most. An image that is nearer to HR than the one made again was helped, however little it was moved: a level
of 255 towards HR in every sample is worth half a decibel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvqsr.data.images import Pixels
from tvqsr.verify.outcome import Status

MOVED, FAR = 0.01, 1e-3
"""Most samples of an image that may differ at all, and by more than one level, to be taken for the one made again."""
GPU_FAR, GPU_DB = 0.03, 40.0
"""Beyond that, as far as a GPU's flipped codes may go: as many samples, or a PSNR between both of that or more."""
GAIN, GPU_GAIN = 0.02, 0.05
"""Most decibels of PSNR to HR by which it may be the better of both."""


@dataclass(frozen=True)
class Distance:
    """How far an image is from the one made again."""

    moved: float
    """Share of samples that differ."""
    far: float
    """Share of samples more than one level of 255 apart."""
    db: float
    """PSNR between both."""
    gain: float
    """By how many decibels it is nearer to HR; 0 without HR."""

    @property
    def equal(self) -> bool:
        return not self.moved

    def __str__(self) -> str:
        return (
            f"{self.moved:.2%} of its samples differ, {self.far:.2%} by more than 1/255; both are at {self.db:.1f} dB, "
            f"and it is {self.gain:+.2f} dB nearer to HR"
        )


def distance(stored: Pixels, made: Pixels, hr: Pixels | None = None) -> Distance:
    """Of two images (H, W, 3); of different sizes, infinitely far."""
    if stored.shape != made.shape:
        return Distance(1.0, 1.0, 0.0, 0.0)
    levels = np.abs(stored.astype(np.int16) - made)
    error = _error(stored, made)
    gain = 0.0
    if hr is not None and hr.shape == made.shape and error:
        gain = float(10 * np.log10(max(_error(made, hr), 1e-9) / max(_error(stored, hr), 1e-9)))
    db = float(10 * np.log10(255**2 / error)) if error else np.inf
    return Distance(float((levels > 0).mean()), float((levels > 1).mean()), db, gain)


def _error(one: Pixels, other: Pixels) -> float:
    return float(np.square(one.astype(np.int32) - other).mean())


def judged(apart: Distance, on_cpu: bool) -> Status:
    """Whether it is the image made again; `not checked` where a GPU's rounding may have made it another."""
    if apart.gain > (GAIN if on_cpu else GPU_GAIN):
        return "failed"
    if apart.moved <= MOVED and apart.far <= FAR and apart.gain <= GAIN:
        return "ok"
    if not on_cpu and (apart.far <= GPU_FAR or apart.db >= GPU_DB):
        return "not checked"
    return "failed"
