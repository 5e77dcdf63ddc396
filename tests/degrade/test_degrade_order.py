"""HR -> LR as a whole: which operators there are, in which order and at which size."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tests.degrade.gentle import gentle, seeds
from tvqsr.data.degrade import Recipe, degrade, draw
from tvqsr.data.degrade.filters import sharpen
from tvqsr.data.degrade.jpeg import jpeg

Array = NDArray[np.float64]


@pytest.mark.parametrize("keep", [1.0, 0.0])
def test_without_blur_and_noise_lr_is_hr_resized_twice(photos: Tensor, keep: float) -> None:
    """By the drawn factor and in the drawn modes; in luma, since JPEG halves the resolution of colours."""
    recipe = gentle()
    resize = replace(recipe.first.resize, keep=keep, down=1.0 - keep, range=(0.2, 1.5))
    recipe = replace(recipe, first=replace(recipe.first, resize=resize))
    modes = set()
    for step in range(16):
        drawn = draw(recipe, [7, step, 0])
        first = drawn.first.resize
        modes.add((first.mode, drawn.last_mode))
        once = by_factor(photos[0].double().numpy(), first.factor, first.mode).clip(0, 1)
        found = degrade(photos[:1], recipe, [[7, step, 0]])
        for mode in ("area", "bilinear", "bicubic"):
            expected = torch.from_numpy(resized(once, (24, 32), mode, (once.shape[1] / 24, once.shape[2] / 32)))
            assert mode != drawn.last_mode or luma_difference(found, expected) < 0.8
            assert mode == drawn.last_mode or keep == 0 or luma_difference(found, expected) > 1.0
    assert len(modes) > 5


def by_factor(image: Array, factor: float, mode: str) -> Array:
    """As released code calls `F.interpolate` with a factor: bilinear and bicubic step by 1 / factor, not by sizes."""
    size = int(image.shape[1] * factor), int(image.shape[2] * factor)
    return resized(image, size, mode, (1 / factor, 1 / factor))


def resized(image: Array, size: tuple[int, int], mode: str, steps: tuple[float, float]) -> Array:
    """(C, H, W) resized in float64 by weights written out sample by sample; `steps` in source samples."""
    rows, columns = (
        weights(length, out, mode, step) for length, out, step in zip(image.shape[1:], size, steps, strict=True)
    )
    return np.asarray(rows @ image @ columns.T)


def weights(length: int, out: int, mode: str, step: float) -> Array:
    """(out, length): area takes every sample that it touches for whole; others see repeated edges, cubic a = -0.75."""
    dense = np.zeros((out, length))
    for o in range(out):
        if mode == "area":
            first, last = o * length // out, -(-(o + 1) * length // out)
            dense[o, first:last] = 1 / (last - first)
            continue
        place = (o + 0.5) * step - 0.5
        if mode == "bilinear":
            place = max(place, 0.0)
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            x = abs(place - tap)
            if mode == "bilinear":
                weight = max(0.0, 1 - x)
            elif x <= 1:
                weight = 1.25 * x**3 - 2.25 * x**2 + 1
            else:
                weight = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            dense[o, min(max(tap, 0), length - 1)] += weight
    return dense


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic"])
def test_the_references_of_resizing_are_torch_s(photos: Tensor, mode: str) -> None:
    """By size and by factor, so that the tests here say what is done to a photo, not who does it."""
    photo = photos[0].double().numpy()
    for size in ((24, 32), (61, 50), (130, 200)):
        found = F.interpolate(photos[:1].double(), size, mode=mode)[0].numpy()
        assert np.abs(found - resized(photo, size, mode, (96 / size[0], 128 / size[1]))).max() < 1e-9
    for factor in (0.17, 0.5, 0.83, 1.37):
        found = F.interpolate(photos[:1].double(), scale_factor=factor, mode=mode)[0].numpy()
        assert np.abs(found - by_factor(photo, factor, mode)).max() < 1e-9


def luma_difference(one: Tensor, other: Tensor) -> float:
    """Mean absolute difference of BT.601 luma in 8-bit levels."""
    shares = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return float(((one - other) * shares).sum(dim=-3).abs().mean() * 255)


def test_only_the_input_is_sharpened(photos: Tensor) -> None:
    plain = degrade(photos, gentle(), seeds(3))
    sharpened = degrade(photos, gentle(sharpened=True), seeds(3))
    assert not torch.equal(plain, sharpened)
    assert torch.equal(sharpened, degrade(sharpen(photos), gentle(), seeds(3)))


def test_the_last_jpeg_comes_first_or_last(photos: Tensor) -> None:
    """What has just been through JPEG hardly changes by the same JPEG; what was resized since then does."""
    recipe = replace(gentle(), last_jpeg=(40.0, 40.0))
    for step in range(8):
        lr = degrade(photos[:1], recipe, [[7, step, 0]])
        change = (jpeg(lr, [40.0]) - lr).abs().mean() * 255
        assert (change < 1.5) == draw(recipe, [7, step, 0]).jpeg_comes_last


def two_gentle_stages() -> Recipe:
    """Twice nothing but resizing: each of the published operators can be put back on its own."""
    recipe = gentle()
    kept = replace(recipe.first, blur_probability=1.0)
    return replace(recipe, first=kept, second=kept, second_probability=1.0)


def test_both_blurs_and_the_last_sinc_filter_take_contrast_away(photos: Tensor) -> None:
    recipe = two_gentle_stages()
    wide = replace(recipe.first, blur=replace(recipe.first.blur, sigma=(3.0, 3.0)))
    plain = degrade(photos, recipe, seeds(3)).diff(dim=-1).abs().mean()
    for blurred in (
        replace(recipe, first=wide),
        replace(recipe, second=wide),
        replace(recipe, last_sinc_probability=1.0, last_sinc_cutoff=(1.1, 1.1)),
    ):
        assert degrade(photos, blurred, seeds(3)).diff(dim=-1).abs().mean() < 0.8 * plain


def test_noise_is_added_at_hr_and_at_lr_size() -> None:
    """At the size of LR, sigma stays what it is; at that of HR, 16 pixels average it out where the mode is `area`."""
    recipe = two_gentle_stages()
    loud = replace(recipe.first, noise=replace(recipe.first.noise, sigma=(10.0, 10.0), grey_probability=1.0))
    flat = torch.full((12, 3, 128, 128), 0.5)

    def spread(changed: Recipe) -> list[float]:
        return [float(image.std() * 255) for image in degrade(flat, changed, seeds(12))]

    assert max(spread(recipe)) < 0.5
    assert spread(replace(recipe, second=loud)) == pytest.approx([10.0] * 12, rel=0.1)
    stages = [draw(recipe, seed).second for seed in seeds(12)]
    for found, stage in zip(spread(replace(recipe, first=loud)), stages, strict=True):
        if stage and stage.resize.mode == "area":
            assert found == pytest.approx(10.0 / 4, rel=0.1)


def test_noise_of_one_image_is_not_that_of_another() -> None:
    recipe = two_gentle_stages()
    loud = replace(recipe.first, noise=replace(recipe.first.noise, sigma=(10.0, 10.0)))
    lr = degrade(torch.full((4, 3, 128, 128), 0.5), replace(recipe, second=loud), seeds(4))
    correlations = np.corrcoef(lr.flatten(1).numpy())[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.1


def test_each_jpeg_costs(photos: Tensor) -> None:
    recipe = two_gentle_stages()
    plain = degrade(photos, recipe, seeds(3))
    first = (degrade(photos, replace(recipe, first_jpeg=(10.0, 10.0)), seeds(3)) - plain).abs().mean()
    last = (degrade(photos, replace(recipe, last_jpeg=(10.0, 10.0)), seeds(3)) - plain).abs().mean()
    assert first * 255 > 2
    assert last > 1.5 * first, "blocks of LR are larger on the scene than blocks of HR"


def test_the_second_stage_resizes_relative_to_lr(photos: Tensor) -> None:
    """A second stage that keeps the size has it at LR's: it then loses what an LR of that size cannot hold."""
    gentle_recipe = gentle()
    stage = gentle_recipe.first
    kept = replace(gentle_recipe, second=replace(stage, blur_probability=0.0), second_probability=1.0)
    shrunk = replace(
        kept, second=replace(kept.second, resize=replace(stage.resize, keep=0.0, down=1.0, range=(0.3, 0.31)))
    )
    plain = degrade(photos, gentle_recipe, seeds(3)).diff(dim=-1).abs().mean()
    at_lr = degrade(photos, kept, seeds(3)).diff(dim=-1).abs().mean()
    below_lr = degrade(photos, shrunk, seeds(3)).diff(dim=-1).abs().mean()
    assert 0.6 * plain < at_lr < 1.4 * plain
    assert below_lr < 0.85 * at_lr
