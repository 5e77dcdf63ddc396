"""BSRGAN's degradations: what each step does to an image."""

from __future__ import annotations

import io
import itertools
import math
from typing import TypeVar

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from scipy import ndimage, stats
from torch import Tensor

from tvqsr.data.degrade import BSRGAN, BSRGAN_PLUS, Chain, ChainRecipe, degrade, run_chain
from tvqsr.data.degrade.chain import Blur, Halve, Jpeg, MixedNoise, PhotonNoise, Step, Subsample, ToLr
from tvqsr.data.degrade.kernels import kernel_weights
from tvqsr.data.degrade.parameters import Kernel, Resize
from tvqsr.data.resize import resize

Kind = TypeVar("Kind", bound=Step)


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1, 3, 128, 96) in [0, 1]."""
    pixels = skimage.data.astronaut()[60:188, 180:276]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255


def run(image: Tensor, *steps: Step, seed: int = 0) -> Tensor:
    size = image.shape[-2] // 4, image.shape[-1] // 4
    return run_chain(image, Chain(steps, seed), size)


# What is drawn


def test_a_blur_is_scipy_s_convolution_with_mirrored_borders(photo: Tensor) -> None:
    kernel = Kernel("aniso", 25, 2.5, 0.6, rotation=0.7)
    found = run(photo, Blur(kernel))[0]
    y, x = np.mgrid[-12:13, -12:13]
    turn = np.array([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    covariance = turn @ np.diag([2.5**2, 0.6**2]) @ turn.T
    weights = stats.multivariate_normal(np.zeros(2), covariance).pdf(np.stack([x, y], axis=-1))
    for plane, result in zip(photo[0].numpy(), found.numpy(), strict=True):
        expected = ndimage.convolve(plane.astype(np.float64), weights / weights.sum(), mode="mirror")
        assert np.abs(result - expected).max() < 1e-5


@pytest.mark.parametrize("scale", [2, 4])
def test_subsampling_shows_what_hr_shows(scale: int) -> None:
    """A ramp keeps its place: each LR sample is the mean of its block. Blur and shift leave a ramp alone inside."""
    ramp = torch.linspace(0.1, 0.9, 96).expand(1, 3, 96, 96)
    for image in (ramp, ramp.mT):
        found = run(image, Subsample(Kernel("iso", 25, 1.5, 1.5), scale))
        expected = resize(image.contiguous(), (96 // scale, 96 // scale), "area")
        inside = slice(16 // scale, -16 // scale)
        assert torch.allclose(found[..., inside, inside], expected[..., inside, inside], atol=1e-4)


@pytest.mark.parametrize(("scale", "sigma"), [(2, 1.2), (4, 2.4), (4, 12.0)])
def test_subsampling_is_the_released_code_s_shifted_convolution(photo: Tensor, scale: int, sigma: float) -> None:
    """Its kernel, linearly interpolated (scale - 1) / 2 to the upper left, in a convolution, and every n-th pixel."""
    kernel = Kernel("iso", 25, sigma, sigma)
    place = np.clip(np.arange(25) + (scale - 1) / 2, 0, 24)
    along = np.stack([np.interp(place, np.arange(25), unit) for unit in np.eye(25)], axis=1)
    shifted = along @ kernel_weights(kernel) @ along.T
    found = run(photo, Subsample(kernel, scale))[0]
    for plane, result in zip(photo[0].double().numpy(), found.numpy(), strict=True):
        expected = ndimage.convolve(plane, shifted / shifted.sum(), mode="mirror")[::scale, ::scale]
        assert np.abs(result - expected).max() < 1e-5


def test_sizes_are_those_of_the_code(photo: Tensor) -> None:
    assert run(photo, Halve()).shape == (1, 3, 64, 48)
    assert run(photo, Resize(0.3, "area")).shape == (1, 3, 38, 28)
    assert run(photo, Resize(1.99, "bicubic")).shape == (1, 3, 254, 191)
    assert run(photo, Resize(0.001, "bilinear")).shape == (1, 3, 1, 1)
    assert run(photo, Resize(0.3, "area"), Subsample(Kernel("iso", 25, 1.0, 1.0), 4)).shape == (1, 3, 10, 7)
    assert run(photo, Resize(0.3, "area"), ToLr("area")).shape == (1, 3, 32, 24)


def test_steps_stay_in_range() -> None:
    """Bicubic overshoots at an edge, noise anywhere."""
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 33:] = 1
    loud = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5))
    for step in (Resize(0.7, "bicubic"), Halve(), ToLr("bicubic"), MixedNoise(loud), MixedNoise(loud, speckle=True)):
        found = run(edge, step)
        assert found.min() >= 0
        assert found.max() <= 1


@pytest.mark.parametrize("level", [0.3, 0.6])
@pytest.mark.parametrize("speckle", [False, True])
def test_mixed_noise_has_the_covariance_of_its_mixing(level: float, speckle: bool) -> None:
    mixing = ((0.05, 0.0, 0.0), (0.02, 0.03, 0.0), (0.01, 0.01, 0.02))
    noise = run(torch.full((1, 3, 512, 512), level), MixedNoise(mixing, speckle))[0] - level
    expected = np.array(mixing) @ np.array(mixing).T * (level**2 if speckle else 1)
    assert np.allclose(np.cov(noise.flatten(1).numpy()), expected, rtol=0.02, atol=1e-6)
    assert noise.mean().abs() < 4 * 0.05 / 512
    neighbours = np.corrcoef(noise[0, :, 1:].flatten(), noise[0, :, :-1].flatten())[0, 1]
    assert abs(neighbours) < 0.01


def test_grey_noise_is_the_same_in_all_channels() -> None:
    noise = run(torch.full((1, 3, 256, 256), 0.5), MixedNoise(((0.04,),) * 3))[0] - 0.5
    assert torch.equal(noise[0], noise[1])
    assert torch.equal(noise[0], noise[2])
    assert noise.std().item() == pytest.approx(0.04, rel=0.03)


@pytest.mark.parametrize("photons", [200.0, 2500.0])
def test_shot_noise_has_the_variance_of_counted_photons(photons: float) -> None:
    """Of a level x: x / photons, in each channel; `grey` that of the luma, alike in all."""
    colour = torch.tensor([51, 102, 153]).view(1, 3, 1, 1) / 255
    image = colour.expand(1, 3, 512, 512)
    own = (run(image, PhotonNoise(photons, grey=False)) - image)[0]
    assert np.allclose(own.flatten(1).var(dim=1), colour.flatten() / photons, rtol=0.03)
    assert np.allclose(np.corrcoef(own.flatten(1).numpy()), np.eye(3), atol=0.01)
    grey = (run(image, PhotonNoise(photons, grey=True)) - image)[0]
    luma = round(0.299 * 51 + 0.587 * 102 + 0.114 * 153) / 255
    assert grey[0].var().item() == pytest.approx(luma / photons, rel=0.03)
    assert torch.allclose(grey[0], grey[1], atol=1e-6)
    assert own.mean().abs() < 5e-4


def test_noise_follows_the_chain_s_seed() -> None:
    noise = MixedNoise(((0.1,),) * 3)
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert torch.equal(run(flat, noise, seed=1), run(flat, noise, seed=1))
    assert not torch.equal(run(flat, noise, seed=1), run(flat, noise, seed=2))
    twice = run(flat, noise, noise) - 0.5
    assert twice.std().item() == pytest.approx(0.1 * math.sqrt(2), rel=0.1), "the second field is another one"


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_is_libjpeg_s_on_8_bit_samples(photo: Tensor, quality: int) -> None:
    image = photo + 0.3 / 255  # samples between two levels, which a file cannot hold
    found = run(image, Jpeg(quality))[0].permute(1, 2, 0).mul(255)
    assert torch.allclose(found, found.round(), atol=1e-4)
    buffer = io.BytesIO()
    Image.fromarray(photo[0].permute(1, 2, 0).mul(255).round().byte().numpy()).save(buffer, "JPEG", quality=quality)
    difference = np.abs(found.numpy() - np.asarray(Image.open(buffer)).astype(np.float64))
    assert difference.mean() < 1.0
    assert (difference > 3).mean() < 0.05


@pytest.mark.parametrize("recipe", [BSRGAN, BSRGAN_PLUS], ids=["bsrgan", "bsrgan_plus"])
def test_lr_shows_the_scene_of_hr(recipe: ChainRecipe, photo: Tensor) -> None:
    """In the mean over many seeds LR lies over HR: it fits it better than HR moved by one LR pixel either way."""
    mean = degrade(photo.expand(48, -1, -1, -1), recipe, [[9, n] for n in range(48)]).mean(dim=0)
    small = resize(photo, (32, 24), "area")[0]
    inner = slice(4, -4)

    def error(move: tuple[int, ...]) -> float:
        return float((mean - small.roll(move, (-2, -1)))[..., inner, inner].square().mean())

    moves = itertools.product((-1, 0, 1), repeat=2)
    assert min(moves, key=error) == (0, 0)
