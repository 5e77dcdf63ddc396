"""Filters and noise of degradations, against scipy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import skimage
import torch
from scipy import ndimage, stats
from torch import Tensor

from tvqsr.data.degrade.filters import correlate, sharpen
from tvqsr.data.degrade.noise import add_gaussian, add_poisson


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real_photo() -> Tensor:
    """(1, 3, 120, 150) in [0, 1]."""
    pixels = skimage.data.chelsea()[60:180, 120:270]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255


@pytest.mark.parametrize("size", [(40, 33), (12, 30), (4, 7), (1, 5)])
def test_filtering_is_scipy_correlation_with_mirrored_borders(size: tuple[int, int]) -> None:
    """Also where the kernel is larger than the image."""
    images = torch.rand(2, 3, *size, generator=generator())
    kernels = torch.rand(2, 21, 21, generator=generator(1))
    found = correlate(images, kernels)
    for image, kernel, filtered in zip(images, kernels, found, strict=True):
        for plane, result in zip(image, filtered, strict=True):
            expected = ndimage.correlate(plane.double().numpy(), kernel.double().numpy(), mode="mirror")
            assert np.allclose(result.numpy(), expected, rtol=1e-5)


def test_sharpening_is_a_soft_masked_unsharp_mask() -> None:
    photo = real_photo()

    def blur(plane: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.gaussian_filter(plane, 8.0, mode="mirror", radius=25))

    before = photo.clone()
    found = sharpen(photo)
    for plane, result in zip(photo[0].double().numpy(), found[0].numpy(), strict=True):
        detail = plane - blur(plane)
        mask = blur((np.abs(detail) > 10 / 255).astype(np.float64))
        expected = mask * np.clip(plane + 0.5 * detail, 0, 1) + (1 - mask) * plane
        # A pixel whose detail is the threshold to within float32 may be masked on one side only.
        assert np.abs(result - expected).mean() < 1e-5
        assert np.abs(result - expected).max() < 1e-3
    assert torch.equal(photo, before)


def test_sharpening_leaves_flat_places_alone_and_raises_contrast_at_edges() -> None:
    edge = torch.full((1, 3, 200, 200), 0.4)
    edge[..., 100:] = 0.6
    sharp = sharpen(edge)
    assert torch.allclose(sharp[..., :40], edge[..., :40], atol=1e-6)
    assert sharp[..., 99].mean() < 0.38
    assert sharp[..., 100].mean() > 0.62


@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_is_normal_with_the_given_sigma(grey: bool) -> None:
    flat = torch.full((1, 3, 100, 100), 0.5)
    noise = (add_gaussian(flat, 12.0, grey, generator()) - flat)[0] * 255
    for plane in noise if not grey else noise[:1]:
        assert stats.kstest(plane.flatten().numpy(), stats.norm(0, 12.0).cdf).pvalue > 0.001
    correlation = np.corrcoef(noise.flatten(1).numpy())[0, 1:]
    assert np.allclose(correlation, 1.0) if grey else np.abs(correlation).max() < 0.05


def test_poisson_noise_is_scikit_image_s() -> None:
    """Levels, photons per level and spread: the same distribution at each level of a ramp."""
    ramp = (torch.arange(100) / 255).repeat(1, 3, 400, 1)
    found = add_poisson(ramp, 1.0, False, generator())[0].numpy()
    reference = skimage.util.random_noise(ramp[0].numpy(), mode="poisson", rng=0)
    assert np.allclose(found.std(axis=(0, 1)), reference.std(axis=(0, 1)), rtol=0.12)
    assert np.allclose(found.mean(axis=(0, 1)), reference.mean(axis=(0, 1)), atol=0.008)
    for level in (5, 40, 80):
        outcome = stats.ks_2samp(found[..., level].ravel(), reference[..., level].ravel())
        assert outcome.pvalue > 0.001, level


@pytest.mark.parametrize(("levels", "photons"), [(2, 2), (3, 4), (128, 128), (129, 256), (256, 256)])
def test_poisson_variance_follows_the_number_of_levels(levels: int, photons: int) -> None:
    """Variance scale^2 x / photons at value x, with photons the next power of two of the number of levels."""
    step = 255 // (levels - 1)
    image = (torch.arange(levels) * step / 255).repeat(1, 3, 1, 1).repeat(1, 1, 40000 // levels, 1)
    middle = levels // 2 if levels > 2 else 1
    value = float(image[0, 0, 0, middle])
    noise = (add_poisson(image * 1.0, 0.3, False, generator()) - image)[..., middle]
    expected = 0.3**2 * value / photons
    if value + 4 * expected**0.5 > 1:
        noise = noise[noise < 0]  # the clamp at 1 cuts off the upper half
        assert (noise**2).mean().item() == pytest.approx(expected, rel=0.5)
    else:
        assert noise.var().item() == pytest.approx(expected, rel=0.1)


def test_poisson_noise_counts_on_8_bits_but_keeps_the_image_unrounded() -> None:
    image = torch.full((1, 3, 8, 8), 0.4321)
    assert torch.equal(add_poisson(image, 0.0, False, generator()), image)


def test_poisson_noise_counts_levels_after_rounding() -> None:
    """Two shades of one 8-bit level are one level, hence one photon: half as many as two levels would give."""
    image = torch.full((1, 3, 100, 100), 50.6 / 255)
    image[..., ::2] = 51.4 / 255
    noise = add_poisson(image, 0.05, False, generator()) - image
    assert noise.var().item() == pytest.approx(0.05**2 * 51 / 255, rel=0.05)


def test_grey_poisson_noise_is_that_of_the_luma_in_all_channels() -> None:
    red = torch.zeros(1, 3, 128, 128)
    red[:, 0] = 0.8
    red[:, 1:] = 0.3
    noise = (add_poisson(red, 0.02, True, generator()) - red)[0]
    assert torch.allclose(noise[0], noise[1], atol=1e-6)
    # One level in all: one photon at full luma, so the variance is scale^2 times the luma.
    luma = 0.299 * 0.8 + 0.701 * 0.3
    assert noise[1].var().item() == pytest.approx(0.02**2 * luma, rel=0.05)


def test_noise_stays_in_range() -> None:
    image = torch.rand(1, 3, 40, 40, generator=generator())
    for noisy in (add_gaussian(image, 200.0, False, generator()), add_poisson(image, 20.0, True, generator())):
        assert noisy.min() == 0.0
        assert noisy.max() == 1.0
