"""One textured crop of every test photo: LR, every entry, HR."""

from __future__ import annotations

import textwrap
from itertools import islice

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from tvqsr.data.images import Pixels, read_image
from tvqsr.data.manifest import check_file, read_pairs
from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.style import DOUBLE, new_figure

SIDE = 96
PHOTOS, FEWER = 5, 3
WIDE = 12
"""Columns beyond which fewer photos are shown, to keep the file small."""
SCALE = 4
TITLE_WIDTH = 15
"""Characters of a line above a crop, where there are ten columns."""


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """Rows: the first photos of the test set. Columns: LR enlarged by blocks, the entries (first seed), HR."""
    shown = [entry for entry in entries if entry.name not in ("hr_copy", "nearest")]
    columns = len(shown) + 2
    photos = islice(read_pairs(plan.paths.dataset(testset)), FEWER if columns > WIDE else PHOTOS)
    pairs = [(pair, hr) for pair in photos if (hr := pair.hr()) is not None]
    side = DOUBLE / (columns + 0.3)
    # As fine as the crops are, or finer: none loses pixels.
    drawing, axes = new_figure(DOUBLE, (side + 0.04) * len(pairs) + 0.35, len(pairs), columns, dpi=max(200, 110 / side))
    # The usual gaps are wide: the crops are to lie close.
    drawing.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0))
    width = max(8, TITLE_WIDTH * 10 // columns)
    for row, (pair, hr) in zip(axes, pairs, strict=True):
        top, left = busiest(hr, SIDE)
        crops = [("LR", block_enlarged(pair.lr()))]
        for entry in shown:
            title = textwrap.fill(entry.title, width, break_long_words=False)
            crops.append((title, made_image(plan, entry, testset, pair.name)))
        crops.append(("HR", hr))
        for axis, (title, pixels) in zip(row, crops, strict=True):
            # `none`: the PDF holds the pixels as they are, and enlarges them as blocks.
            axis.imshow(pixels[top : top + SIDE, left : left + SIDE], interpolation="none")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row is axes[0]:
                axis.set_title(title, fontsize=5.5, pad=2)
        row[0].set_ylabel(textwrap.shorten(pair.name, 16, placeholder="..."), fontsize=5.5, labelpad=1)
    return drawing


def made_image(plan: Plan, entry: EntryPlan, testset: str, name: str) -> Pixels:
    """An entry's image of a photo, of its first seed. Raises UserError for one that is not what its record lists."""
    record = plan.paths.images_record(entry.name, entry.seeds[0], testset)
    path = record.with_name(f"{name}.png")
    listed = read_json(record)["images"].get(name, {})
    if "sha256" in listed:
        check_file(path, listed["sha256"])
    return read_image(path)


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


def block_enlarged(lr: Pixels) -> Pixels:
    """LR enlarged four times by blocks."""
    return lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
