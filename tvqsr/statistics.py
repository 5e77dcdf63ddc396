"""Means with intervals, and paired differences: deterministic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 9999
SEED = 20250923
BATCH = 500
"""Resamples that are drawn at a time."""
LEVEL = 0.05
BOOTSTRAP_FROM = 30
"""Values, below which a percentile bootstrap is too narrow: of 2, 3, 5 and 10 it covers 52, 71, 85 and 90%, not 95."""


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """Mean and its 95% interval over images, as `mean_intervals` has it; no interval for a single value."""
    sample = np.asarray(values, dtype=np.float64)
    return float(sample.mean()), mean_intervals([sample])[0]


def kind_of_interval(count: int) -> str | None:
    """What `mean_intervals` gives for that many values, in words; None for one or none."""
    if count < 2:
        return None
    return "Student's t" if count < BOOTSTRAP_FROM else "bootstrap"


def mean_intervals(samples: Sequence[NDArray[np.float64]]) -> list[tuple[float, float] | None]:
    """95% intervals of the means of samples (n,); None for a single value.

    Student's t below `BOOTSTRAP_FROM` values, the percentile bootstrap from there on.
    """
    many = [place for place, sample in enumerate(samples) if len(sample) >= BOOTSTRAP_FROM]
    found = [None if place in set(many) else _t_interval(sample) for place, sample in enumerate(samples)]
    for place, interval in zip(many, bootstrap_intervals([samples[place] for place in many]), strict=True):
        found[place] = interval
    return found


def _t_interval(sample: NDArray[np.float64]) -> tuple[float, float] | None:
    from scipy.stats import t

    if len(sample) < 2:
        return None
    # Distances from the first value: those of a constant are zero, and its interval has no width.
    away = sample - sample[0]
    half = float(t.ppf(0.975, len(sample) - 1)) * float(away.std(ddof=1)) / float(np.sqrt(len(sample)))
    mean = float(away.mean()) + float(sample[0])
    return mean - half, mean + half


def bootstrap_intervals(samples: Sequence[NDArray[np.float64]]) -> list[tuple[float, float] | None]:
    """95% percentile-bootstrap intervals of the means of samples (n,); None for a single value.

    What `scipy.stats.bootstrap` gives for each of them with the generator of `SEED`: those of one length share their
    resamples, which are drawn but once. The last bits may depend on what other samples are given with them.
    """
    found: list[tuple[float, float] | None] = [None] * len(samples)
    for size in {len(sample) for sample in samples} - {1}:
        places = [place for place, sample in enumerate(samples) if len(sample) == size]
        lows, highs = _ends(np.stack([samples[place] for place in places]))
        for place, low, high in zip(places, lows, highs, strict=True):
            found[place] = (float(low), float(high))
    return found


def _ends(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends (k,) and (k,) of the intervals of k samples (k, n)."""
    size = samples.shape[1]
    random, means = np.random.default_rng(SEED), np.empty((len(samples), RESAMPLES))
    for start in range(0, RESAMPLES, BATCH):
        count = min(BATCH, RESAMPLES - start)
        drawn = random.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(np.float64)
        # Distances from the first value: those of a constant are zero, and its interval has no width.
        means[:, start : start + count] = (samples - samples[:, :1]) @ times.T / size + samples[:, :1]
    lows, highs = np.percentile(means, (2.5, 97.5), axis=1)
    return lows, highs


def decided(interval: tuple[float, float], by_seed: Sequence[float]) -> int:
    """1 if a lead is decided, -1 if a lag is, else 0.

    Decided is what has an interval that excludes zero and points the same way in every seed alone, of which there must
    be one. A percentile interval is too narrow for few images: ask `flip_test`, too.
    """
    if interval[0] > 0 and min(by_seed, default=0.0) > 0:
        return 1
    return -1 if interval[1] < 0 and max(by_seed, default=0.0) < 0 else 0


def flip_test(differences: Sequence[float]) -> float:
    """One-sided p of the sign-flip test: how likely so large a mean is where each sign is a coin's.

    Exact up to 13 differences (of four it reaches no 5%), by `RESAMPLES` draws beyond.
    """
    from scipy.stats import permutation_test

    sample = np.asarray(differences, dtype=np.float64)
    found = permutation_test(
        (sample,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided p of the sign test: how likely as many differences of one sign are by chance; ties are left out."""
    from scipy.stats import binomtest

    signs = np.sign(np.asarray(differences, dtype=np.float64))
    count = int((signs != 0).sum())
    return float(binomtest(int((signs > 0).sum()), count).pvalue) if count else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p values of several tests, in their order (Holm 1979, step-down Bonferroni)."""
    order = np.argsort(p_values, kind="stable")
    sizes = len(p_values) - np.arange(len(p_values))
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * sizes))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return [float(value) for value in corrected]


def detectable(differences: Sequence[float], pairs: int = 1) -> float | None:
    """Least true mean difference that the sign test finds in 80% of cases, at Holm's strictest level for `pairs` pairs.

    Of as many images with normal differences of the observed deviation, exactly by the binomial: the image-wise chance
    to be ahead with which the wins reach the critical number in 80%, turned into a mean. None where no number of wins
    reaches that level.
    """
    from scipy.stats import beta, binom, norm

    sample = np.asarray(differences, dtype=np.float64)
    count = len(sample)
    wins = np.arange(count // 2 + 1, count + 1)
    reached = wins[2 * binom.sf(wins - 1, count, 0.5) * pairs <= LEVEL]
    if not len(reached):
        return None
    critical = int(reached[0])
    # P(wins >= critical) is the incomplete beta function of the chance to win.
    chance = beta.ppf(0.8, critical, count - critical + 1)
    return float(norm.ppf(chance)) * float(sample.std(ddof=1))
