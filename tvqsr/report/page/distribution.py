"""Scores of single images, for the plot of their distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tvqsr.report.scores import per_image

IMAGES = 60
"""Of an entry, at most, that are shown by name: evenly by rank, the worst and the best among them."""


def distributions(scores: pd.DataFrame) -> dict[str, Any]:
    """Of one test set: names of images, and by protocol and entry the quartiles of all and the images shown.

    Values are means over seeds. Protocols that have one number for the whole set are left out.
    """
    single = scores[scores.image != "(set)"].dropna(subset=["value"])
    names = sorted(set(single.image))
    place = {name: number for number, name in enumerate(names)}
    found: dict[str, dict[str, Any]] = {}
    for (protocol, entry), rows in single.groupby(["protocol", "entry"], sort=False):
        values = per_image(rows, str(entry), str(protocol)).sort_values(kind="stable")
        found.setdefault(str(protocol), {})[str(entry)] = _shown(values, place)
    return {"names": names, "of": found}


def _shown(values: pd.Series, place: dict[str, int]) -> dict[str, Any]:
    ranks = np.unique(np.linspace(0, len(values) - 1, min(len(values), IMAGES)).round().astype(int))
    quartiles = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
    return {
        "quartiles": [float(f"{value:.6g}") for value in quartiles],
        "images": [place[str(values.index[rank])] for rank in ranks],
        "values": [float(f"{values.iloc[rank]:.6g}") for rank in ranks],
        "count": len(values),
    }
