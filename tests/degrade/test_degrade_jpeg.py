"""The JPEG of degradations, against libjpeg as Pillow carries it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from torch import Tensor

from tests.conftest import shared
from tvqsr.data.degrade.jpeg import jpeg, quantisation_steps
from tvqsr.data.images import read_image

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")


def compressed(pixels: Pixels, quality: int) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return Image.open(file)


def to_tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255


def to_pixels(image: Tensor) -> NDArray[np.float64]:
    return (image[0].double() * 255).round().permute(1, 2, 0).numpy()


def test_quantisation_steps_are_libjpeg_s_at_every_quality() -> None:
    # Pillow lists a file's tables row by row (it undoes the zigzag).
    for quality in range(1, 101):
        image = compressed(np.zeros((8, 8, 3), np.uint8), quality)
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        expected = np.array([image.quantization[0], image.quantization[1]]).reshape(2, 8, 8)
        assert np.array_equal(quantisation_steps([quality], CPU)[0].numpy(), expected), quality


@pytest.mark.parametrize("size", [(64, 80), (67, 83), (33, 16), (9, 50), (1, 3)])
def test_decoded_images_are_pillow_s(size: tuple[int, int]) -> None:
    """Within 0.8 of 255 on average over qualities.

    libjpeg's transforms are in integers, which now and then moves a coefficient by a step.
    """
    pixels = skimage.data.chelsea()[100 : 100 + size[0], 150 : 150 + size[1]]
    differences = []
    for quality in (30, 40, 50, 61, 75, 82, 90, 95):
        expected = np.asarray(compressed(pixels, quality)).astype(np.float64)
        found = to_pixels(jpeg(to_tensor(pixels), [quality]))
        assert found.shape == expected.shape
        differences.append(np.abs(found - expected).mean())
    assert np.mean(differences) < 0.8


@pytest.mark.parametrize("quality", [30, 60, 75, 95])
def test_decoded_photos_are_pillow_s(quality: int) -> None:
    """At half size, since these photos were JPEGs: their own blocks would give coefficients on the edge of a step."""
    differences = []
    for file in sorted(shared("training_photos", "bsds500_train_test").iterdir())[:8]:
        pixels = np.asarray(Image.fromarray(read_image(file)).reduce(2))
        expected = np.asarray(compressed(pixels, quality)).astype(np.float64)
        differences.append(to_pixels(jpeg(to_tensor(pixels), [quality])) - expected)
    assert np.mean([np.abs(difference).mean() for difference in differences]) < 0.7
    assert np.abs(np.mean([difference.mean() for difference in differences])) < 0.15


def test_saturated_colours_lose_as_in_pillow() -> None:
    """Chroma at half resolution shows most where colours change abruptly."""
    pixels = np.zeros((48, 48, 3), np.uint8)
    pixels[:, 17:] = (255, 0, 0)
    pixels[21:, :, 2] = 255
    expected = np.asarray(compressed(pixels, 80)).astype(np.float64)
    assert np.abs(to_pixels(jpeg(to_tensor(pixels), [80])) - expected).mean() < 0.6


def test_every_image_has_its_own_quality() -> None:
    photo = to_tensor(skimage.data.chelsea()[:70, :90])
    both = jpeg(photo.repeat(2, 1, 1, 1), [35.0, 92.5])
    assert torch.allclose(both[:1], jpeg(photo, [35.0]), atol=1e-6)
    assert torch.allclose(both[1:], jpeg(photo, [92.5]), atol=1e-6)
    errors = (both - photo).abs().mean(dim=(1, 2, 3))
    assert errors[0] > 2 * errors[1]


def test_flat_grey_survives_any_quality_to_within_a_step() -> None:
    for level in (0, 77, 128, 255):
        flat = torch.full((1, 3, 21, 30), level / 255)
        for quality in (30, 70, 95):
            found = jpeg(flat, [quality])
            step = float(quantisation_steps([quality], CPU)[0, 0, 0, 0])
            assert found.std() < 1e-6
            assert (found - flat).abs().max() * 255 <= step / 16 + 0.5


def test_tf32_products_change_nothing() -> None:
    photo = to_tensor(skimage.data.chelsea()[:40, :40])
    exact = jpeg(photo, [60])
    setting = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(jpeg(photo, [60]), exact)
    finally:
        torch.set_float32_matmul_precision(setting)
