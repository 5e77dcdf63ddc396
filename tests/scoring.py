"""What tests of scores share: real pairs, official values, a protocol's number for two arrays."""

from __future__ import annotations

import csv

from tests.conftest import shared
from tvqsr.data.images import Pixels, read_image
from tvqsr.score.picture import Picture
from tvqsr.score.protocols import protocols


def score_of(name: str, sr: Pixels, hr: Pixels, device: str = "cpu", crop: int = 0) -> float:
    """A protocol's number for (H, W, 3) uint8 arrays."""
    (protocol,) = protocols([name], "here")
    one, other = (Picture(pixels).without_border(crop if protocol.crops else 0) for pixels in (sr, hr))
    if protocol.of_image:
        return protocol.of_image(one, device)
    assert protocol.of_pair
    return protocol.of_pair(one, other, device)


def real_pairs() -> list[tuple[Pixels, Pixels]]:
    """Distorted against reference, five pairs of TID2013, and a crop of odd sides."""
    folder = shared("calibration", "iqa")
    found = [
        (read_image(distorted), read_image(reference))
        for distorted, reference in zip(
            sorted((folder / "distorted").iterdir()), sorted((folder / "reference").iterdir()), strict=True
        )
    ]
    return [*found, (found[0][0][:101, :67], found[0][1][:101, :67])]


def official(metric: str) -> list[float]:
    """Values of the five pairs by the official code, as IQA-PyTorch collected them."""
    with (shared("calibration", "iqa") / "official_values.csv").open() as file:
        return next([float(value) for value in row[1:]] for row in csv.reader(file) if row[0] == metric)
