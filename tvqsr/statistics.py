"""Means with bootstrap intervals, deterministic."""

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
