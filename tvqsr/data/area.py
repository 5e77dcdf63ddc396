"""Area resampling: what OpenCV calls INTER_AREA when shrinking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def area_resize(samples: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Shrink a square (S, S, C) to (side, side, C), side <= S: each sample the mean over the area that it covers.

    Source samples that an area covers in part count by that part.
    """
    weights = area_weights(samples.shape[0], side)
    rows = np.einsum("oi,ijc->ojc", weights, samples, optimize=True)
    return np.einsum("oj,rjc->roc", weights, rows, optimize=True).astype(np.float32)


def area_weights(length: int, out: int) -> NDArray[np.float32]:
    """(out, length): row o holds how much of each source sample lies in [o, o + 1) length / out, normed to sum 1."""
    edges = np.arange(out + 1) * (length / out)
    left, right = edges[:-1, None], edges[1:, None]
    sample = np.arange(length)[None, :]
    covered = np.clip(np.minimum(right, sample + 1) - np.maximum(left, sample), 0, None)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
