"""MATLAB's bicubic, against LR files that MATLAB made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import shared
from tvqsr.data.bicubic import downscale, mod_crop, resize
from tvqsr.data.images import read_image
from tvqsr.score.fidelity import cropped, luma, psnr, ssim


def pairs(testset: str) -> list[tuple[Path, Path]]:
    folder = shared("testsets", testset)
    return [(hr, folder / "LR_bicubic_X4" / f"{hr.stem}x4.png") for hr in sorted((folder / "HR").iterdir())]


@pytest.mark.parametrize(("testset", "count"), [("Set5", 5), ("Set14", 14)])
def test_lr_of_public_sets_to_the_last_bit(testset: str, count: int) -> None:
    found = pairs(testset)
    assert len(found) == count
    for hr, lr in found:
        assert np.array_equal(downscale(mod_crop(read_image(hr), 4), 4), read_image(lr)), hr.name


@pytest.mark.parametrize(
    ("testset", "reported_psnr", "reported_ssim"), [("Set5", 28.42, 0.8104), ("Set14", 26.00, 0.703)]
)
def test_bicubic_upscaling_scores_what_the_field_reports(
    testset: str, reported_psnr: float, reported_ssim: float
) -> None:
    """The reported values round luma to 8 bits and take Set14's grey photo as its own luma.

    `psnr_y` does neither (28.43 and 26.09).
    """
    scores = []
    for hr_path, lr_path in pairs(testset):
        hr = cropped(mod_crop(read_image(hr_path), 4), 4)
        sr = cropped(resize(read_image(lr_path), Fraction(4)), 4)
        with Image.open(hr_path) as image:
            grey = image.mode == "L"
        y = [pixels[..., 0].astype(np.float64) if grey else np.rint(luma(pixels)) for pixels in (sr, hr)]
        scores.append((psnr(*y), ssim(*y)))
    found_psnr, found_ssim = np.mean(scores, axis=0)
    assert found_psnr == pytest.approx(reported_psnr, abs=0.011)
    assert found_ssim == pytest.approx(reported_ssim, abs=0.0008)


def test_a_flat_image_stays_flat() -> None:
    flat = np.full((12, 20, 3), 77, np.uint8)
    assert np.array_equal(downscale(flat, 4), np.full((3, 5, 3), 77, np.uint8))
    assert np.array_equal(resize(flat, Fraction(4)), np.full((48, 80, 3), 77, np.uint8))


def test_mod_crop_cuts_right_and_bottom() -> None:
    image = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    assert np.array_equal(mod_crop(image, 4), image[:4, :8])
