"""One textured crop of every test photo: LR, every entry, HR."""

from __future__ import annotations

import textwrap
from itertools import islice

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from tvqsr.data.images import Pixels, read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.style import new_figure

SIDE = 96
PHOTOS, FEWER = 5, 3
WIDE = 12
"""Columns beyond which fewer photos are shown, to keep the file small."""
SCALE = 4
TITLE_WIDTH = 18
"""Characters of a line above a crop."""


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """Rows: the first photos of the test set. Columns: LR enlarged by blocks, the entries (first seed), HR."""
    shown = [entry for entry in entries if entry.name not in ("hr_copy", "nearest")]
    columns = len(shown) + 2
    photos = islice(read_pairs(plan.paths.dataset(testset)), FEWER if columns > WIDE else PHOTOS)
    pairs = [(pair, hr) for pair in photos if (hr := pair.hr()) is not None]
    # Crops of 96 pixels: finer than this would only make the file large.
    drawing, axes = new_figure(1.45 * columns, 1.55 * len(pairs) + 0.3, len(pairs), columns, dpi=100)
    for row, (pair, hr) in zip(axes, pairs, strict=True):
        top, left = busiest(hr, SIDE)
        crops = [("LR", _block_enlarged(pair.lr()))]
        for entry in shown:
            path = plan.paths.images(entry.name, entry.seeds[0], testset) / f"{pair.name}.png"
            crops.append((textwrap.fill(entry.title, TITLE_WIDTH), read_image(path)))
        crops.append(("HR", hr))
        for axis, (title, pixels) in zip(row, crops, strict=True):
            axis.imshow(pixels[top : top + SIDE, left : left + SIDE], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row is axes[0]:
                axis.set_title(title, fontsize=8)
        row[0].set_ylabel(pair.name, fontsize=8)
    return drawing


def busiest(hr: Pixels, side: int) -> tuple[int, int]:
    """Top left corner of the square crop with the most texture, on the LR grid; the same for every entry.

    Texture is the mean difference of luma to its 5 x 5 mean, capped so that one hard edge does not outweigh a lawn.
    """
    luma = hr.astype(np.float64).mean(axis=2)
    detail: NDArray[np.float64] = np.abs(luma - uniform_filter(luma, 5))
    texture: NDArray[np.float64] = uniform_filter(np.minimum(detail, np.percentile(detail, 95)), side)
    half = side // 2
    inner = texture[half : hr.shape[0] - half + 1, half : hr.shape[1] - half + 1]
    if inner.size == 0:
        return 0, 0
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return int(row) // SCALE * SCALE, int(column) // SCALE * SCALE


def _block_enlarged(lr: Pixels) -> Pixels:
    return lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
