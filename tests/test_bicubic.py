"""MATLAB's bicubic, against LR files that MATLAB made, its definition in float64, and published scores."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import shared
from tvqsr.contract import Upscaler
from tvqsr.data.bicubic import downscale, mod_crop, resize
from tvqsr.data.images import Pixels, read_image, to_pixels, write_png
from tvqsr.methods.bicubic.plugin import upscaler
from tvqsr.score.job import score_folders

Array = NDArray[np.float64]


def pairs(testset: str) -> list[tuple[Path, Path]]:
    folder = shared("testsets", testset)
    return [(hr, folder / "LR_bicubic_X4" / f"{hr.stem}x4.png") for hr in sorted((folder / "HR").iterdir())]


@pytest.mark.parametrize(("testset", "count", "grey"), [("Set5", 5, 0), ("Set14", 14, 1)])
def test_lr_of_public_sets_to_the_last_bit(testset: str, count: int, grey: int) -> None:
    found = pairs(testset)
    assert len(found) == count
    assert sum(is_grey(hr) for hr, _ in found) == grey
    for hr, lr in found:
        assert np.array_equal(downscale(mod_crop(read_image(hr), 4), 4), read_image(lr)), hr.name


def by_definition(plane: Array, scale: Fraction, rounded: bool = True) -> Array:
    """MATLAB's `imresize(plane, scale, 'bicubic')` as its documentation has it: (H, W) by direct sums in float64.

    Rows first. Sample o of the output lies at (o + 1/2) / scale - 1/2 of the input; every input sample within 2 of it
    (2 / scale when shrinking) counts by Keys' cubic (a = -1/2) of its distance, beyond the border as mirrored; weights
    are normed to 1. 8-bit images are rounded (half up) and clipped after each pass.
    """
    for _ in range(2):
        wide = min(float(scale), 1.0)
        out = np.empty((math.ceil(plane.shape[0] * scale), plane.shape[1]))
        mirrored = np.concatenate([plane, plane[::-1]])
        for o in range(len(out)):
            centre = float((o + Fraction(1, 2)) / scale - Fraction(1, 2))
            taps = range(math.ceil(centre - 2 / wide), math.floor(centre + 2 / wide) + 1)
            weights = [keys(wide * (centre - tap)) for tap in taps]
            total = math.fsum(weights)
            out[o] = sum(w / total * mirrored[tap % len(mirrored)] for w, tap in zip(weights, taps, strict=True))
        plane = (np.clip(np.floor(out + 0.5), 0, 255) if rounded else out).T
    return plane


def keys(x: float) -> float:
    x = abs(x)
    return 1 - 2.5 * x**2 + 1.5 * x**3 if x < 1 else 2 - 4 * x + 2.5 * x**2 - 0.5 * x**3 if x < 2 else 0.0


@pytest.mark.parametrize("scale", [Fraction(*ends) for n in (2, 3, 4, 8) for ends in ((1, n), (n, 1))])
@pytest.mark.parametrize("size", [(67, 83), (32, 17), (9, 5)])
def test_every_scale_is_the_definition_to_the_last_bit(scale: Fraction, size: tuple[int, int]) -> None:
    """On noise, which has overshoots to clip, and on a photo; sides that the scale does not divide, too."""
    noise = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)
    for pixels in (noise, skimage.data.astronaut()[100 : 100 + size[0], 200 : 200 + size[1]]):
        found = resize(pixels, scale)
        expected = [by_definition(pixels[..., channel].astype(np.float64), scale) for channel in range(3)]
        assert found.dtype == np.uint8
        assert np.array_equal(found, np.stack(expected, axis=2))


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_pyiqa_s_matlab_resize_agrees(scale: int) -> None:
    """The definition above, to which ours is equal after its roundings, against somebody else's reading of MATLAB."""
    from pyiqa.matlab_utils import imresize

    photo = skimage.data.chelsea()[60:180, 120:264]
    unit = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].double() / 255
    for factor in (Fraction(1, scale), Fraction(scale)):
        theirs = imresize(unit, scale=float(factor), antialiasing=True)[0].numpy()
        exact = np.stack([by_definition(photo[..., c] / 255, factor, rounded=False) for c in range(3)])
        assert theirs.shape == exact.shape
        assert np.abs(theirs - exact).max() < 1e-3


def field_luma(pixels: Pixels, grey: bool) -> Array:
    """BT.601 studio-range luma rounded to 8 bits, as MATLAB's `rgb2ycbcr` gives it; of a grey file its samples."""
    red, green, blue = pixels.astype(np.float64).transpose(2, 0, 1)
    return red if grey else np.rint(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)


def is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode == "L"


def write_grey(path: Path, plane: Array) -> None:
    """As a grey photo in three channels, rounded to 8 bits."""
    write_png(path, np.stack([to_pixels(plane / 255)] * 3, axis=2))


def test_bicubic_scores_what_the_field_reports(tmp_path: Path) -> None:
    """28.42 / 0.8104 on Set5 and 26.00 / 0.703 on Set14 (0.7027 in table 3 of VDSR, arXiv 1511.04587; here 0.7019).

    What gives these numbers: only the 8-bit luma is shrunk and enlarged, without rounding LR, then rounded. Written as
    grey files, whose three channels are that luma, it goes through the code of `tvqsr score`.
    """
    for testset, psnr, ssim in (("Set5", 28.42, 0.8104), ("Set14", 26.00, 0.7019)):
        for path, _ in pairs(testset):
            luma = field_luma(mod_crop(read_image(path), 4), is_grey(path))
            small = by_definition(luma, Fraction(1, 4), rounded=False)
            write_grey(tmp_path / testset / "hr" / path.name, luma)
            write_grey(tmp_path / testset / "sr" / path.name, by_definition(small, Fraction(4), rounded=False))
        folder = tmp_path / testset
        (found,) = score_folders([folder / "sr"], folder / "hr", ["psnr_rgb", "ssim_rgb"], 4, False, 1)
        scores = found["protocols"]
        assert round(scores["psnr_rgb"]["mean"], 2) == psnr
        assert round(scores["ssim_rgb"]["mean"], 4) == ssim


def test_the_bicubic_entry_scores_the_field_s_numbers_but_for_known_roundings(tmp_path: Path) -> None:
    """From 8-bit RGB LR to 8-bit RGB, as every method here: 28.43 / 0.8111 and 26.09 / 0.7048 by `psnr_y`, `ssim_y`.

    With luma rounded and the grey photo of Set14 as its own luma it is 28.42 / 0.8101 and 25.99 / 0.7023: the LR's and
    the colours' roundings cost 0.004 and 0.010 dB against the field's protocol above. A grey photo read as RGB has a
    luma of 219 levels instead of 255, which is 1.32 dB for that photo.
    """
    own = upscaler(None)
    for testset, by_protocol, by_luma in (
        ("Set5", (28.43, 0.8111), (28.42, 0.8101)),
        ("Set14", (26.09, 0.7048), (25.99, 0.7023)),
    ):
        folder = tmp_path / testset
        for hr_path, lr_path in pairs(testset):
            hr, sr = mod_crop(read_image(hr_path), 4), enlarged(own, read_image(lr_path))
            write_png(folder / "hr" / hr_path.name, hr)
            write_png(folder / "sr" / hr_path.name, sr)
            write_grey(folder / "hr_luma" / hr_path.name, field_luma(hr, is_grey(hr_path)))
            write_grey(folder / "sr_luma" / hr_path.name, field_luma(sr, is_grey(hr_path)))
        (found,) = score_folders([folder / "sr"], folder / "hr", ["psnr_y", "ssim_y"], 4, False, 1)
        scores = found["protocols"]
        assert (round(scores["psnr_y"]["mean"], 2), round(scores["ssim_y"]["mean"], 4)) == by_protocol
        names = ["psnr_rgb", "ssim_rgb"]
        (found,) = score_folders([folder / "sr_luma"], folder / "hr_luma", names, 4, False, 1)
        scores = found["protocols"]
        assert (round(scores["psnr_rgb"]["mean"], 2), round(scores["ssim_rgb"]["mean"], 4)) == by_luma


def enlarged(upscaler: Upscaler, lr: Pixels) -> Pixels:
    image = torch.from_numpy(lr.copy()).permute(2, 0, 1)[None].float() / 255
    return to_pixels(upscaler(image)[0].permute(1, 2, 0).numpy())


def test_a_flat_image_stays_flat() -> None:
    flat = np.full((12, 20, 3), 77, np.uint8)
    assert np.array_equal(downscale(flat, 4), np.full((3, 5, 3), 77, np.uint8))
    assert np.array_equal(resize(flat, Fraction(4)), np.full((48, 80, 3), 77, np.uint8))


def test_mod_crop_cuts_right_and_bottom() -> None:
    image = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    assert np.array_equal(mod_crop(image, 4), image[:4, :8])
