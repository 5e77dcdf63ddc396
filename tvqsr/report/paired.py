"""How far one entry is ahead of another, image by image, under one protocol on one test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tvqsr.statistics import LEVEL, bootstrap_intervals, decided, flip_test, sign_test


@dataclass(frozen=True)
class Lead:
    """Of `entry` over `against`; positive numbers are in favour of `entry`, whichever way the protocol points."""

    entry: str
    against: str
    by_image: NDArray[np.float64]
    """(n,), n >= 2: of the images that both have a score of, seeds averaged."""
    interval: tuple[float, float]
    """95%, by bootstrap over images, however few: too narrow then, which the sign-flip test makes good."""
    by_seed: tuple[float, ...]
    """Mean over images for each common seed; what has but one seed stands against each of the other's."""

    @property
    def mean(self) -> float:
        return float(self.by_image.mean())

    @property
    def decided(self) -> int:
        """1 if the lead is decided, -1 if the entry is decidedly behind, else 0.

        Of a lead that was asked for before it was seen, each way with at most 5% of false answers: the interval
        excludes zero, every seed alone agrees, and the sign-flip test, exact for few images, reaches `LEVEL` that way.
        """
        way = decided(self.interval, self.by_seed)
        return way if way and flip_test((way * self.by_image).tolist()) <= LEVEL else 0

    @property
    def most(self) -> int:
        """1 if more images are in favour than against, -1 if fewer, else 0."""
        return int(np.sign(np.sign(self.by_image).sum()))

    @property
    def p(self) -> float:
        """Of the sign test over images."""
        return sign_test(self.by_image.tolist())


def leads(scores: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Lead]:
    """Leads of pairs of entries by the scores of one protocol on one test set.

    Scores have columns entry, seed, image, value and higher_is_better. A pair that shares fewer than two images is
    left out.
    """
    measured = scores.dropna(subset=["value"])
    if measured.empty:
        return []
    sign = 1.0 if bool(measured.higher_is_better.iloc[0]) else -1.0
    values = sign * measured.pivot_table(index="image", columns=["entry", "seed"], values="value", aggfunc="mean")
    of = {entry: pd.DataFrame(values[entry]) for entry in set(values.columns.get_level_values("entry"))}
    compared = [(pair, _by_image(of[pair[0]], of[pair[1]])) for pair in pairs if of.keys() >= set(pair)]
    compared = [(pair, by_image) for pair, by_image in compared if len(by_image) > 1]
    intervals = bootstrap_intervals([by_image for _, by_image in compared])
    return [
        Lead(*pair, by_image, interval, _by_seed(of[pair[0]], of[pair[1]]))
        for (pair, by_image), interval in zip(compared, intervals, strict=True)
        if interval is not None
    ]


def _by_image(mine: pd.DataFrame, theirs: pd.DataFrame) -> NDArray[np.float64]:
    """Difference (n,) on the images that both have a score of, each averaged over its seeds."""
    return (mine.mean(axis=1) - theirs.mean(axis=1)).dropna().to_numpy(np.float64)


def _by_seed(mine: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, ...]:
    """Mean difference (images, seeds) - (images, seeds) by seed."""
    if theirs.shape[1] == 1:
        differences = mine.sub(theirs.iloc[:, 0], axis=0)
    elif mine.shape[1] == 1:
        differences = -theirs.sub(mine.iloc[:, 0], axis=0)
    else:
        differences = mine - theirs
    return tuple(float(value) for value in differences.mean().dropna())
