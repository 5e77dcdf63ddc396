"""The samples that PSNR and SSIM compare: RGB, or luma by one of two definitions, as it is or rounded to 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.images import Pixels
from tvqsr.score.picture import Picture

Samples = NDArray[np.float64]


def luma(pixels: Pixels) -> Samples:
    """BT.601 studio-range luma of (H, W, 3) uint8 RGB: (H, W) in [16, 235], not rounded."""
    return 16.0 + pixels.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255.0)


def yiq_luma(pixels: Pixels) -> Samples:
    """Full-range luma of (H, W, 3) uint8 RGB: (H, W) in [0, 255], not rounded."""
    return pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def rounded_yiq_luma(pixels: Pixels) -> Samples:
    """The same rounded to 8 bits: (H, W) whole numbers in [0, 255].

    In fp32 and in [0, 1] first, as pyiqa does: with these weights many colours lie just between two whole numbers,
    and the precision decides where they go.
    """
    unit = pixels.astype(np.float32) / np.float32(255)
    red, green, blue = (unit[..., channel] for channel in range(3))
    found = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return np.rint(found * np.float32(255)).astype(np.float64)


def is_grey(pixels: Pixels) -> bool:
    """Whether (H, W, 3) uint8 RGB has three equal channels, as a file with one has when it is read."""
    return bool((pixels == pixels[..., :1]).all())


def grey_samples(pixels: Pixels) -> Samples:
    """The one channel of a grey picture, (H, W, 3) uint8, in its full range: (H, W) in [0, 255]."""
    return pixels[..., 0].astype(np.float64)


@dataclass(frozen=True)
class Colours:
    """A named way from 8-bit RGB to samples in [0, 255]: of (H, W, 3) to (H, W), or (H, W, 3) for RGB."""

    name: str
    rounding: str
    convert: Callable[[Pixels], Samples]

    @property
    def told(self) -> str:
        """Both in the words of a definition."""
        return f"{self.name}, {self.rounding}"

    def __call__(self, picture: Picture) -> Samples:
        return picture.once(("colours", self.name, self.rounding), lambda: self.convert(picture.pixels))


AS_THEY_ARE = "8-bit images"
NOT_ROUNDED = "8-bit images, luma not rounded"
ROUNDED = "8-bit images, luma rounded to 8 bits"
BT601 = "Y of YCbCr, BT.601 studio range"
FULL_RANGE = "Y of YIQ, full range"

RGB = Colours("RGB", AS_THEY_ARE, lambda pixels: pixels.astype(np.float64))
Y = Colours(BT601, NOT_ROUNDED, luma)
Y_ROUNDED = Colours(BT601, ROUNDED, lambda pixels: np.rint(luma(pixels)))
YIQ = Colours(FULL_RANGE, NOT_ROUNDED, yiq_luma)
YIQ_ROUNDED = Colours(FULL_RANGE, ROUNDED, rounded_yiq_luma)
