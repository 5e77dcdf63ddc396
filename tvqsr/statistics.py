"""Means with bootstrap intervals, and paired differences: deterministic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 9999
SEED = 20250923


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """Mean and its 95% percentile-bootstrap interval over images; no interval for a single value.

    Samples of one length share their resamples.
    """
    from scipy.stats import bootstrap

    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, None
    drawn = bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, batch=500, method="percentile", rng=np.random.default_rng(SEED)
    )
    return mean, (float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))


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


def detectable(differences: Sequence[float]) -> float:
    """Least mean difference that as many pairs would show: 5% two-sided, 80% power, normal approximation."""
    from scipy.stats import norm

    sample = np.asarray(differences, dtype=np.float64)
    reach = float(norm.ppf(0.975) + norm.ppf(0.8))
    return reach * float(sample.std(ddof=1)) / float(np.sqrt(len(sample)))
