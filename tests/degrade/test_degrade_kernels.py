"""Blur kernels, against scipy's distributions and integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats
from scipy.signal import windows
from scipy.spatial.distance import mahalanobis

from tvqsr.data.degrade.kernels import kernel_array
from tvqsr.data.degrade.parameters import Kernel
from tvqsr.data.degrade.recipe import KERNEL_SIDE, KernelKind

Array = NDArray[np.float64]
MIDDLE = KERNEL_SIDE // 2

ANISOTROPIC: list[KernelKind] = ["aniso", "generalized_aniso", "plateau_aniso"]


def middle_row(kernel: Kernel) -> tuple[Array, Array]:
    """Distances from the middle and the values there, relative to the middle's."""
    row = kernel_array(kernel)[MIDDLE, MIDDLE : MIDDLE + kernel.size // 2 + 1]
    return np.arange(len(row), dtype=np.float64), row / row[0]


@pytest.mark.parametrize("size", [3, 7, 13, 21])
@pytest.mark.parametrize("kind", ["iso", "generalized_iso", "plateau_iso", *ANISOTROPIC, "sinc"])
def test_kernels_sum_to_one_and_lie_in_the_middle(kind: KernelKind, size: int) -> None:
    array = kernel_array(Kernel(kind, size, sigma_x=2.0, sigma_y=0.7, rotation=0.4, beta=1.3, cutoff=1.5))
    margin = (KERNEL_SIDE - size) // 2
    assert array.shape == (KERNEL_SIDE, KERNEL_SIDE)
    assert array.sum() == pytest.approx(1.0)
    assert array[margin : margin + size, margin : margin + size].sum() == pytest.approx(1.0)
    assert np.allclose(array, array[::-1, ::-1]), "a kernel that is not point-symmetric would move the image"
    assert kind == "sinc" or np.argmax(array) == array.size // 2


def test_no_kernel_is_the_identity() -> None:
    array = kernel_array(None)
    assert array[MIDDLE, MIDDLE] == 1.0
    assert np.count_nonzero(array) == 1


def test_gaussians_along_the_axes_are_scipy_windows() -> None:
    array = kernel_array(Kernel("aniso", 21, sigma_x=2.5, sigma_y=0.8))
    expected = np.outer(windows.gaussian(21, 0.8), windows.gaussian(21, 2.5))
    assert np.allclose(array, expected / expected.sum())


def test_a_rotated_gaussian_has_the_rotated_covariance() -> None:
    angle, sigma_x, sigma_y = 0.6, 2.0, 1.0
    array = kernel_array(Kernel("aniso", 21, sigma_x, sigma_y, rotation=angle))
    y, x = np.mgrid[-MIDDLE : MIDDLE + 1, -MIDDLE : MIDDLE + 1]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    covariance = turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T
    found = np.array([[np.sum(array * a * b) for a in (x, y)] for b in (x, y)])
    assert np.allclose(found, covariance, rtol=1e-3)
    expected = stats.multivariate_normal(np.zeros(2), covariance).pdf(np.stack([x, y], axis=-1))
    assert np.allclose(array, expected / expected.sum())


@pytest.mark.parametrize("beta", [0.5, 0.8, 1.7, 4.0])
def test_generalized_gaussians_are_scipy_gennorm_from_the_middle_outwards(beta: float) -> None:
    sigma = 2.2
    r, found = middle_row(Kernel("generalized_iso", 21, sigma, sigma, beta=beta))
    reference = stats.gennorm(2 * beta, scale=sigma * 2 ** (1 / (2 * beta)))
    assert np.allclose(found, reference.pdf(r) / reference.pdf(0))


@pytest.mark.parametrize("beta", [1.0, 1.4, 2.0])
def test_plateaus_are_the_survival_function_of_the_log_logistic(beta: float) -> None:
    sigma = 1.8
    r, found = middle_row(Kernel("plateau_iso", 21, sigma, sigma, beta=beta))
    assert np.allclose(found, stats.fisk(2 * beta, scale=sigma).sf(r))


def test_generalized_gaussians_of_shape_1_are_gaussians() -> None:
    assert np.allclose(
        kernel_array(Kernel("generalized_aniso", 15, 2.0, 0.9, 1.1, beta=1.0)),
        kernel_array(Kernel("aniso", 15, 2.0, 0.9, 1.1)),
    )


def test_generalized_gaussians_of_large_shape_are_discs() -> None:
    array = kernel_array(Kernel("generalized_iso", 21, 4.75, 4.75, beta=60.0))
    y, x = np.mgrid[-MIDDLE : MIDDLE + 1, -MIDDLE : MIDDLE + 1]
    disc = (np.hypot(x, y) < 4.75).astype(np.float64)
    assert np.allclose(array, disc / disc.sum(), atol=1e-4)


@pytest.mark.parametrize("kind", ANISOTROPIC)
def test_anisotropic_kernels_are_equal_at_equal_mahalanobis_distance(kind: KernelKind) -> None:
    """Sorted by distance, values fall; an isotropic kernel of the same shape gives the value at each distance."""
    angle, sigma_x, sigma_y, beta = -0.9, 2.6, 1.1, 1.5
    array = kernel_array(Kernel(kind, 21, sigma_x, sigma_y, rotation=angle, beta=beta))
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    inverse = axes.T @ np.diag([1 / sigma_x**2, 1 / sigma_y**2]) @ axes
    distances = np.array(
        [[mahalanobis((x, y), (0, 0), inverse) for x in range(-10, 11)] for y in range(-10, 11)], dtype=np.float64
    )
    falloff = {
        "aniso": stats.norm(0, 1).pdf(distances) / stats.norm.pdf(0),
        "generalized_aniso": stats.gennorm(2 * beta, scale=2 ** (1 / (2 * beta))).pdf(distances),
        "plateau_aniso": stats.fisk(2 * beta).sf(distances),
    }[kind]
    # A Gaussian has no shape: `draw` leaves its beta at 1.
    if kind == "aniso":
        array = kernel_array(Kernel(kind, 21, sigma_x, sigma_y, rotation=angle))
    assert np.allclose(array, falloff / falloff.sum())


@pytest.mark.parametrize("cutoff", [math.pi / 5, 1.3, math.pi])
def test_sinc_kernels_are_the_inverse_transform_of_a_disc(cutoff: float) -> None:
    """The polar integral of the disc of frequencies below the cutoff, over 1 / (2 pi), without its closed form."""

    def at(r: float) -> float:
        value, _ = integrate.quad(lambda f: f * special.j0(f * r), 0, cutoff, epsabs=1e-12)
        return float(value) / (2 * math.pi)

    array = kernel_array(Kernel("sinc", 9, cutoff=cutoff))[6:15, 6:15]
    expected = np.array([[at(math.hypot(x, y)) for x in range(-4, 5)] for y in range(-4, 5)])
    assert np.allclose(array, expected / expected.sum(), atol=1e-9)


def test_sinc_kernels_pass_low_frequencies_and_stop_high_ones() -> None:
    array = kernel_array(Kernel("sinc", 21, cutoff=math.pi / 2))
    response = np.abs(np.fft.fft2(array, (256, 256)))[0, :129]
    frequency = np.linspace(0, math.pi, 129)
    assert np.abs(response[frequency < 0.35 * math.pi] - 1).max() < 0.15
    assert response[frequency > 0.65 * math.pi].max() < 0.15
