"""How much of what goes through a codebook a shrunk image already told (asked for by a reviewer of TVQ&RAP)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

FOLDS = 10
PENALTY = 1e-4
"""Ridge penalty on the slopes, per code position.

Directions along which X_down has a deviation of less than 0.01, some three of its 255 grey levels, count for little.
"""


@dataclass
class Products:
    """Sums over code positions, float64: X'X (28, 28), X'Y (28, D), Y'Y's trace. The first column of X is 1."""

    xx: Tensor
    xy: Tensor
    yy: Tensor

    def __add__(self, other: Products) -> Products:
        return Products(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    def __sub__(self, other: Products) -> Products:
        return Products(self.xx - other.xx, self.xy - other.xy, self.yy - other.yy)


class Redundancy:
    """Share of the variance of decoded code vectors that a ridge regression from X_down explains, cross-validated.

    X_down is HR shrunk by means over blocks to one RGB value per code position; the regression sees its 3 x 3
    neighbourhood. What it explains, an LR image holds as well, and the codebook need not have told. Near 1, the
    codebook spends its codes on that; near 0, something else told it, as TVQ&RAP's structure map is to do.

    Images go into 10 folds by turns, so that up to 10 images each is a fold of its own. Variance is about the mean of
    all images, summed over the vectors' elements. Memory does not grow with the images.
    """

    def __init__(self) -> None:
        self.images = 0
        self._folds: list[Products] = []

    def add(self, small: Tensor, vectors: Tensor) -> None:
        """An image's X_down (1, 3, h, w) in [0, 1] and its code vectors (1, D, h, w)."""
        x, y = _neighbourhoods(small), vectors[0].flatten(1).t().cpu().double()
        products = Products(x.t() @ x, x.t() @ y, y.square().sum())
        if self.images < FOLDS:
            self._folds.append(products)
        else:
            self._folds[self.images % FOLDS] += products
        self.images += 1

    def value(self) -> float | None:
        """At most 1, below 0 where the regression misleads; None with one image, or if all vectors are the same."""
        if self.images < 2:
            return None
        total = self._folds[0]
        for fold in self._folds[1:]:
            total = total + fold
        variance = total.yy - total.xy[0].square().sum() / total.xx[0, 0]
        if variance <= 1e-9 * total.yy:
            return None
        unexplained = torch.stack([_error(fold, _regression(total - fold)) for fold in self._folds]).sum()
        return float(1 - unexplained / variance)


def _neighbourhoods(small: Tensor) -> Tensor:
    """(1, 3, h, w) -> 1 and the 3 x 3 neighbourhood of each position, edges repeated: (h w, 28) float64."""
    around = F.unfold(F.pad(small.cpu().double(), (1, 1, 1, 1), mode="replicate"), 3)[0].t()
    return torch.cat([around.new_ones(len(around), 1), around], dim=1)


def _regression(seen: Products) -> Tensor:
    """Coefficients (28, D), penalised but for the constant."""
    penalty = PENALTY * seen.xx[0, 0] * torch.eye(len(seen.xx), dtype=seen.xx.dtype)
    penalty[0, 0] = 0
    return torch.linalg.solve(seen.xx + penalty, seen.xy)


def _error(fold: Products, coefficients: Tensor) -> Tensor:
    """Sum of squared errors on a fold: Y'Y - 2 B'X'Y + B'X'X B, its trace."""
    return fold.yy - 2 * (coefficients * fold.xy).sum() + (coefficients * (fold.xx @ coefficients)).sum()
