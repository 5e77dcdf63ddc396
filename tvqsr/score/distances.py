"""Distances between two sets of features: Frechet, and the kernel distance with its standard error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""(n, d), one row per image or patch; row i of SR and of HR are of the same one."""
Owners = NDArray[np.int64]
"""(n,), which image each row is of; rows of an image follow one another, and numbers rise."""
Matrix = NDArray[np.float64]

CHUNK = 1024
"""Rows whose float64 copy is held at a time."""
SUBSETS, SUBSET = 100, 1000
"""How many subsets the kernel distance is averaged over, and their size where there are more rows than that."""


@dataclass(frozen=True)
class Distance:
    """A distance, and its standard error where one is known."""

    value: float
    error: float | None = None


def frechet(x: Features, y: Features) -> Distance:
    """Frechet distance of two Gaussians with the means and covariances of (n, d) and (m, d) features, in float64.

    Sound for fewer rows than columns, too: tr sqrt(A B) is taken of the symmetric sqrt(A) B sqrt(A), whose
    eigenvalues are not negative but by rounding. Two rows or more are needed. (Heusel et al. 2017.)
    """
    (mean_x, covariance_x), (mean_y, covariance_y) = statistics(x), statistics(y)
    values, vectors = np.linalg.eigh(covariance_x)
    root = vectors * np.sqrt(np.maximum(values, 0))
    products = np.linalg.eigvalsh(root.T @ covariance_y @ root)
    cross = np.sqrt(np.maximum(products, 0)).sum()
    shift = mean_x - mean_y
    return Distance(float(shift @ shift + np.trace(covariance_x) + np.trace(covariance_y) - 2 * cross))


def statistics(features: Features) -> tuple[Matrix, Matrix]:
    """Mean (d) and covariance (d, d), divided by n - 1, in float64, a chunk of rows at a time."""
    count, width = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((width, width))
    for start in range(0, count, CHUNK):
        centred = features[start : start + CHUNK].astype(np.float64) - mean
        scatter += centred.T @ centred
    return mean, scatter / (count - 1)


def kernel(x: Features, y: Features, owners: Owners | None = None) -> Distance:
    """Squared maximum mean discrepancy of features in pairs, kernel (x.y / d + 1)^3, without bias. (Binkowski 2018.)

    Up to SUBSET rows at once; of more, the mean over SUBSETS random subsets of SUBSET, the same for everybody.
    The standard error is the jackknife's that leaves out an image at a time, with all its patches, which are no
    independent draws: how far the value strays were other photos tested on. There is none of fewer than three images,
    nor where one image has nearly all rows. Without `owners` each row is of an image of its own.
    """
    of = np.arange(len(x)) if owners is None else np.unique(owners, return_inverse=True)[1]
    images = int(of[-1]) + 1
    values, left = zip(*(_leaving_out(x[rows], y[rows], of[rows], images) for rows in _subsets(len(x))), strict=True)
    return Distance(float(np.mean(values)), _jackknife(np.mean(left, axis=0)))


def _subsets(count: int) -> Iterator[Owners]:
    """Places of the rows that are looked at together, in order."""
    if count <= SUBSET:
        yield np.arange(count)
        return
    random = np.random.default_rng(0)
    for _ in range(SUBSETS):
        yield np.sort(random.choice(count, SUBSET, replace=False))


def _leaving_out(x: Features, y: Features, owners: Owners, images: int) -> tuple[float, Matrix]:
    """The distance of all rows, and (images,) of all but those of each image: NaN where fewer than two are left."""
    found, starts, sizes = np.unique(owners, return_index=True, return_counts=True)
    of_x, of_y, between = (_kernels(a, b) for a, b in ((x, x), (y, y), (x, y)))
    others = of_x + of_y
    np.fill_diagonal(others, 0)
    rest = np.append(len(x) - sizes, len(x))
    distances = _unbiased(_sums(others, starts), _sums(between, starts), np.maximum(rest, 2))
    left = np.full(images, distances[-1])
    left[found] = np.where(rest < 2, np.nan, distances)[:-1]
    return float(distances[-1]), left


def _sums(kernels: Matrix, starts: Owners) -> Matrix:
    """(g + 1,) sums of (n, n) without the rows and columns of each of g images, which begin there, and of all."""
    blocks = np.add.reduceat(np.add.reduceat(kernels, starts, axis=0), starts, axis=1)
    without = blocks.sum() - blocks.sum(axis=0) - blocks.sum(axis=1) + np.diag(blocks)
    return np.append(without, blocks.sum())


def _jackknife(left: Matrix) -> float | None:
    """Standard error of what has these values (g,) without each of g images."""
    count = len(left)
    if count < 3 or not np.isfinite(left).all():
        return None
    return float(np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum()))


def _unbiased(same: Matrix, across: Matrix, counts: Owners) -> Matrix:
    """Distances of sums of kernels: within each set without those with themselves, and across."""
    found: Matrix = same / (counts * (counts - 1)) - 2 * across / counts**2
    return found


def _kernels(x: Features, y: Features) -> Matrix:
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3
