"""Distances between two sets of features: Frechet, and the kernel distance with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""(n, d), one row per image or patch; row i of SR and of HR are of the same one."""
Matrix = NDArray[np.float64]

Sums = TypeVar("Sums", np.float64, Matrix)

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


def kernel(x: Features, y: Features) -> Distance:
    """Squared maximum mean discrepancy of features in pairs, kernel (x.y / d + 1)^3, without bias. (Binkowski 2018.)

    Up to SUBSET rows at once, with the error of leaving out a pair at a time; of more, the mean over SUBSETS random
    subsets of SUBSET, the same for everybody, with the error that their spread tells of all rows.
    """
    count = len(x)
    if count <= SUBSET:
        return _leaving_one_out(x, y)
    random = np.random.default_rng(0)
    chosen = (random.choice(count, SUBSET, replace=False) for _ in range(SUBSETS))
    found = [_leaving_one_out(x[rows], y[rows]).value for rows in chosen]
    # Subsets overlap: of m out of n rows, a variance s^2 / m shows as s^2 / m (1 - m / n); that of all is s^2 / n.
    return Distance(float(np.mean(found)), float(np.std(found, ddof=1) * np.sqrt(SUBSET / (count - SUBSET))))


def _leaving_one_out(x: Features, y: Features) -> Distance:
    """The distance of all rows, and the jackknife's standard error (none of fewer than three pairs)."""
    count = len(x)
    of_x, of_y, between = (_kernels(a, b) for a, b in ((x, x), (y, y), (x, y)))
    own = np.diag(of_x) + np.diag(of_y)
    same = of_x.sum(axis=1) + of_y.sum(axis=1) - own
    """Of each row, its kernels with all others of its set, both sets."""
    across = between.sum(axis=0) + between.sum(axis=1)
    value = float(_unbiased(same.sum(), between.sum(), count))
    if count < 3:
        return Distance(value)
    left = _unbiased(same.sum() - 2 * same, between.sum() - across + np.diag(between), count - 1)
    return Distance(value, float(np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())))


def _unbiased(same: Sums, across: Sums, count: int) -> Sums:
    """The distance of sums of kernels: within each set without those with themselves, and across."""
    found: Sums = same / (count * (count - 1)) - 2 * across / count**2
    return found


def _kernels(x: Features, y: Features) -> Matrix:
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3
