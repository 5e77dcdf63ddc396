"""Resizing against OpenCV, which pyiqa brings along, and against the 8-bit MATLAB bicubic of the LR files."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import skimage
import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.data.bicubic import resize as resize_8_bits
from tvqsr.data.resize import Interpolation, matlab_resize, resize

SIZES = [(60, 64), (61, 67), (37, 100), (15, 17), (120, 150), (121, 170), (200, 301)]


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1, 3, 120, 150) in [0, 1]."""
    pixels = skimage.data.chelsea()[60:180, 120:270]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_resizing_is_opencv_s(photo: Tensor, mode: Interpolation, size: tuple[int, int]) -> None:
    """To a hundredth of an 8-bit level, smaller and larger."""
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV, which pyiqa installs")
    flag = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[mode]
    expected = cv2.resize(photo[0].permute(1, 2, 0).numpy(), size[::-1], interpolation=flag)
    found = resize(photo, size, mode)
    assert found.dtype == torch.float32
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() * 255 < 0.01


def test_area_of_a_whole_factor_is_the_mean_of_blocks(photo: Tensor) -> None:
    assert torch.allclose(resize(photo, (40, 50), "area"), F.avg_pool2d(photo, 3), atol=1e-6)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1, 4), Fraction(2)])
def test_matlab_s_bicubic_is_that_of_the_lr_files_without_its_rounding(photo: Tensor, scale: Fraction) -> None:
    """Each of the two 8-bit passes rounds by half a level, and the second passes the first one's on."""
    found = matlab_resize(photo, scale).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    pixels = photo[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    expected = resize_8_bits(pixels, scale).astype(np.float64)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1.3
    assert np.abs(found - expected).mean() < 0.4


@pytest.mark.parametrize("length", [3, 4, 7, 16])
def test_matlab_s_bicubic_is_antialiased_torch_on_mirrored_borders(length: int) -> None:
    image = torch.rand(1, 1, length, 20, generator=torch.Generator().manual_seed(length), dtype=torch.float64)
    mirrored = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 0), (8, 8 + length % 2), (8, 8)), "symmetric"))
    size = [side // 2 for side in mirrored.shape[-2:]]
    whole = F.interpolate(mirrored, size, mode="bicubic", antialias=True)[..., 4:, 4:-4]
    found = matlab_resize(image.float(), Fraction(1, 2))
    assert found.shape[-2:] == ((length + 1) // 2, 10)
    assert torch.allclose(found.double(), whole[..., : found.shape[-2], :], atol=1e-6)
