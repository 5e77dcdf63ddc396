"""PSNR and SSIM."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.images import Pixels

Sample = TypeVar("Sample", bound=np.generic)

WINDOW = 11
"""Side of SSIM's window in pixels."""
EPSILON = 1e-8
"""Added to the mean squared error of samples in [0, 1], as pyiqa does: identical images score 80 dB, not infinity."""


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """BT.601 studio-range luma of (H, W, 3) uint8 RGB: (H, W) in [16, 235], not rounded."""
    weights = np.array([65.481, 128.553, 24.966])
    return 16.0 + pixels.astype(np.float64) @ weights / 255.0


def cropped(pixels: NDArray[Sample], crop: int) -> NDArray[Sample]:
    """Without a border of `crop` pixels on each side."""
    return pixels[crop : pixels.shape[0] - crop, crop : pixels.shape[1] - crop]


def psnr(image: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio in dB of samples in [0, 255], over all positions and channels together."""
    error = np.mean(((image - reference) / 255.0) ** 2)
    return float(-10.0 * np.log10(error + EPSILON))


def ssim(image: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Structural similarity of (H, W) or (H, W, 3) samples in [0, 255]: the mean of its map over valid positions."""
    return float(cropped(ssim_map(image, reference), WINDOW // 2).mean())


def ssim_map(image: NDArray[np.floating], reference: NDArray[np.floating]) -> NDArray[np.floating]:
    """Structural similarity (Wang et al. 2004) at each position of (H, W) or (H, W, 3) samples in [0, 255].

    11 x 11 Gaussian window of 1.5, population covariances, channel by channel. Positions whose window leaves the image
    are not valid: `WINDOW // 2` from each border.
    """
    _, similar = structural_similarity(
        image,
        reference,
        data_range=255.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if image.ndim == 3 else None,
        full=True,
    )
    found: NDArray[np.floating] = similar
    return found


def psnr_y(sr: Pixels, hr: Pixels) -> float:
    return psnr(luma(sr), luma(hr))


def psnr_rgb(sr: Pixels, hr: Pixels) -> float:
    return psnr(sr.astype(np.float64), hr.astype(np.float64))


def ssim_y(sr: Pixels, hr: Pixels) -> float:
    return ssim(luma(sr), luma(hr))


def ssim_rgb(sr: Pixels, hr: Pixels) -> float:
    return ssim(sr.astype(np.float64), hr.astype(np.float64))


def lr_psnr(sr: Pixels, hr: Pixels) -> float:
    """PSNR in RGB after both were shrunk x4 as LR is: what was kept of the input."""
    small_sr, small_hr = (downscale(mod_crop(pixels, 4), 4).astype(np.float64) for pixels in (sr, hr))
    return psnr(small_sr, small_hr)
