"""JPEG on the device: what baseline JPEG loses (ITU-T T.81), without the lossless coding.

As libjpeg encodes and decodes by default: 8-bit colour planes, 4:2:0 chroma, edges replicated to whole blocks, chroma
interpolated linearly. The JPEG of Real-ESRGAN's released code rounds neither planes nor quantisation steps, pads with
black and repeats chroma pixels; files in the world, which the degradation is about, are not like that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

# ITU-T T.81, tables K.1 (luma) and K.2 (chroma).
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)


def jpeg(images: Tensor, qualities: Sequence[float]) -> Tensor:
    """Compress and decompress (B, 3, H, W) in [0, 1] of any size at one quality in [1, 100] per image.

    Returns float32 in [0, 1], not rounded to 8 bits. Inside it is float64: transforms stay exact where the user lets
    float32 products be TF32, which would be as coarse as the quantisation steps.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    luma, blue, red = _to_ycc(padded.double() * 255)
    steps = quantisation_steps(qualities, images.device)
    luma = _quantised(luma, steps[:, :1])
    chroma = _quantised(F.avg_pool2d(torch.cat([blue, red], dim=1), 2), steps[:, 1:])
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear").round()
    rgb = _to_rgb(luma[..., :height, :width], *chroma[..., :height, :width].split(1, dim=1))
    return (rgb / 255).clamp(0, 1).float()


def quantisation_steps(qualities: Sequence[float], device: torch.device) -> Tensor:
    """Steps (B, 2, 8, 8) of luma and chroma in 1..255, by the rule of libjpeg's `jpeg_quality_scaling`.

    A quality between two integers takes the percentage in between, rounded down.
    """
    return torch.stack([_scaled(quality, device) for quality in qualities])


def _scaled(quality: float, device: torch.device) -> Tensor:
    percent = math.floor(5000 / quality) if quality < 50 else math.floor(200 - 2 * quality)
    return ((_base_steps(device) * percent + 50) / 100).floor().clamp(1, 255)


@cache
def _base_steps(device: torch.device) -> Tensor:
    return torch.tensor((_LUMA, _CHROMA), dtype=torch.float64, device=device)


@cache
def _dct(device: torch.device) -> Tensor:
    """Orthonormal DCT-II of 8 samples: coefficients = matrix @ samples."""
    n = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos((2 * n + 1) * n.unsqueeze(1) * (math.pi / 16)) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


def _to_ycc(rgb: Tensor) -> tuple[Tensor, ...]:
    """RGB in 0..255 to Y - 128, Cb - 128, Cr - 128 of JFIF, integers in -128..127, each (B, 1, H, W)."""
    red, green, blue = rgb.split(1, dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402
    return tuple(plane.round().clamp(-128, 127) for plane in planes)


def _to_rgb(luma: Tensor, blue: Tensor, red: Tensor) -> Tensor:
    """Inverse of `_to_ycc`, unrounded."""
    green = luma - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587
    return torch.cat([luma + 1.402 * red, green, luma + 1.772 * blue], dim=1) + 128


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the DCT of the 8 x 8 blocks of (B, C, H, W) to multiples of (B, C or 1, 8, 8), and back to 8-bit planes."""
    dct = _dct(planes.device)
    blocks = planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-2, -3)
    steps = steps[:, :, None, None]
    coefficients = dct @ blocks @ dct.mT
    restored = (dct.mT @ ((coefficients / steps).round() * steps) @ dct).round().clamp(-128, 127)
    return restored.transpose(-2, -3).flatten(-4, -3).flatten(-2, -1)
