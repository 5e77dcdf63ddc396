"""HR -> LR as a whole: sizes, purity, seeds, and which recipes there are."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.degrade.gentle import seeds
from tvqsr.data.degrade import RECIPES, Recipe, degrade
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.degradation import Degradation, RandomDegradation

NAMES = sorted(RECIPES)


TWO_STAGES = {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, Recipe)}


@pytest.mark.parametrize("name", NAMES)
def test_lr_is_a_quarter_of_hr_in_8_bit_steps(name: str, photos: Tensor) -> None:
    for step in range(4):
        lr = degrade(photos, RECIPES[name], seeds(3, step))
        assert lr.shape == (3, 3, 24, 32)
        assert lr.dtype == torch.float32
        assert torch.equal((lr * 255).round() / 255, lr)
        assert lr.min() >= 0
        assert lr.max() <= 1
        assert torch.isfinite(lr).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_depend_on_its_neighbours(name: str, photos: Tensor) -> None:
    for step in range(4):
        together = degrade(photos, RECIPES[name], seeds(3, step))
        for position in range(3):
            alone = degrade(photos[position : position + 1], RECIPES[name], [[7, step, position]])
            assert torch.equal(alone[0], together[position])


@pytest.mark.parametrize("name", NAMES)
def test_a_large_batch_is_the_same_too(name: str, photos: Tensor) -> None:
    """Libraries choose other code for many channels."""
    many = photos.repeat(6, 1, 1, 1)
    together = degrade(many, RECIPES[name], seeds(18))
    for position in (0, 7, 17):
        alone = degrade(many[position : position + 1], RECIPES[name], [[7, 0, position]])
        assert torch.equal(alone[0], together[position])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_repeats_and_another_does_not(name: str, photos: Tensor) -> None:
    once = degrade(photos, RECIPES[name], seeds(3))
    assert torch.equal(once, degrade(photos, RECIPES[name], seeds(3)))
    other = degrade(photos, RECIPES[name], seeds(3, step=1))
    assert all(not torch.equal(a, b) for a, b in zip(once, other, strict=True))
    same_photo = degrade(photos[:1].repeat(3, 1, 1, 1), RECIPES[name], seeds(3))
    assert not torch.equal(same_photo[0], same_photo[1])


@pytest.mark.parametrize("name", NAMES)
def test_global_random_state_hr_and_gradients_stay_untouched(name: str, photos: Tensor) -> None:
    hr = photos.clone().requires_grad_()
    before = torch.get_rng_state()
    lr = degrade(hr, RECIPES[name], seeds(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(hr, photos)
    assert not lr.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_autocast_and_memory_layout_change_nothing(name: str, photos: Tensor) -> None:
    expected = degrade(photos, RECIPES[name], seeds(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(degrade(photos, RECIPES[name], seeds(3)), expected)
    channels_last = photos.contiguous(memory_format=torch.channels_last)
    assert torch.equal(degrade(channels_last, RECIPES[name], seeds(3)), expected)


@pytest.mark.parametrize("name", TWO_STAGES)
@pytest.mark.parametrize("level", [0.4, 0.6])
def test_constant_images_stay_constant_in_the_mean(name: str, level: float) -> None:
    """Poisson noise is left out: with one photon for the one level it is clamped, hence biased, by its own rule."""
    recipe = TWO_STAGES[name]
    first, second = (
        replace(stage, noise=replace(stage.noise, gaussian_probability=1.0)) for stage in (recipe.first, recipe.second)
    )
    flat = torch.full((40, 3, 64, 64), level)
    lr = degrade(flat, replace(recipe, first=first, second=second), seeds(40))
    assert lr.mean().item() == pytest.approx(level, abs=0.003)
    assert lr.mean(dim=(1, 2, 3)).sub(level).abs().max() < 0.03


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [32, 48])
def test_small_crops_work(name: str, side: int) -> None:
    """Shrunk to an eighth, they are far smaller than a blur kernel."""
    crops = torch.rand(8, 3, side, side, generator=torch.Generator().manual_seed(0))
    for step in range(5):
        assert degrade(crops, RECIPES[name], seeds(8, step)).shape == (8, 3, side // 4, side // 4)


def test_recipes_are_those_that_presets_know() -> None:
    assert set(get_args(RandomDegradation)) == set(RECIPES)
    assert set(get_args(Degradation)) == {"bicubic", *RECIPES}


def test_tvqrap_is_trained_with_its_own_degradation() -> None:
    """As published, half of its images stop after the first order: not what `realesrgan` stands for."""
    runs = Plan.load("paper").runs.values()
    stages = {run.stage: run.training.degradation for run in runs if run.method.name == "tvqrap" and not run.released}
    assert stages["predictor"] == stages["rap"] == "tvqrap"


def test_training_degrades_more_than_testing(photos: Tensor) -> None:
    """Mean absolute error against area-downscaled HR over 60 seeds."""
    crops = photos.repeat(20, 1, 1, 1)
    small = F.interpolate(crops, (24, 32), mode="area")
    errors = {name: (degrade(crops, RECIPES[name], seeds(60)) - small).abs().mean() for name in TWO_STAGES}
    assert errors["realesrgan"] > 1.3 * errors["resshift_test"]


def test_sides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match=r"HR is 30 x 32; sides must be multiples of 4"):
        degrade(torch.zeros(1, 3, 32, 30), RECIPES["realesrgan"], [[0]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_nothing_waits_and_batches_are_pure(name: str, photos: Tensor) -> None:
    on_gpu = photos.cuda()
    degrade(on_gpu, RECIPES[name], seeds(3))
    torch.cuda.set_sync_debug_mode("error")
    try:
        together = degrade(on_gpu, RECIPES[name], seeds(3, 1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert together.device == on_gpu.device
    for position in range(3):
        alone = degrade(on_gpu[position : position + 1], RECIPES[name], [[7, 1, position]])
        assert torch.equal(alone[0], together[position])
