"""Crops of the test photos for the page: the same square of LR, every entry and HR, without loss."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any

from PIL import Image

from tvqsr.data.images import Pixels
from tvqsr.data.manifest import SCALE, Pair, read_pairs
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.report.figures.strip import busiest, made_image

SIDE = 128
"""Of a crop, in HR pixels."""
PHOTOS = 5
"""Of each test set, at most."""
SAME_AS = ("hr_copy", "nearest")
"""Entries that show what is there anyway: HR, and LR enlarged by blocks."""

Crops = dict[str, dict[str, dict[str, Any]]]
"""Test set -> photo -> where the crop lies and its images as data URIs."""


def cut_crops(plan: Plan, room: int) -> tuple[Crops, dict[str, int]]:
    """Crops of the first photos of every test set, as many as fit into `room` bytes; and how many photos each set has.

    Sets take turns, so that each is shown before any is shown twice.
    """
    crops: Crops = {}
    turns = zip_longest(*(_of_set(plan, testset) for testset in plan.table_sets("main")))
    for testset, photo, crop in (found for turn in turns for found in turn if found is not None):
        size = sum(len(image) + 30 for image in crop["images"].values()) + 500
        if size > room:
            break
        room -= size
        crops.setdefault(testset, {})[photo] = crop
    return crops, {testset: photos_of(plan, testset) for testset in plan.table_sets("main")}


def photos_of(plan: Plan, testset: str) -> int:
    """How many photos a prepared test set has."""
    return len(read_json(plan.paths.manifest(testset))["images"])


def said_of(crops: Crops, whole: dict[str, int]) -> str:
    """How many of the photos are shown, where it is not all."""
    shown = {testset: len(crops.get(testset, {})) for testset in whole}
    few = [f"{shown[name]} of {count} photos of {name}" for name, count in whole.items() if shown[name] < count]
    if not few:
        return ""
    return f"To keep the page small it holds crops of {', '.join(few)}; the whole images are files beside it."


def _of_set(plan: Plan, testset: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for pair in islice(read_pairs(plan.paths.dataset(testset)), PHOTOS):
        yield testset, pair.name, _crop(plan, testset, pair)


def _crop(plan: Plan, testset: str, pair: Pair) -> dict[str, Any]:
    """The square with most texture, where it lies in HR pixels, and the images of it."""
    lr, hr = pair.lr(), pair.hr()
    top, left = busiest(hr, SIDE) if hr is not None else tuple(SCALE * at for at in busiest(lr, SIDE // SCALE))
    images = {"LR": data_uri(_square(lr, top // SCALE, left // SCALE, SIDE // SCALE))}
    for entry in plan.entries_on(testset):
        if entry.name not in SAME_AS:
            image = made_image(plan, entry, testset, pair.name)
            images[entry.name] = data_uri(_square(image, top, left, SIDE))
    if hr is not None:
        images["HR"] = data_uri(_square(hr, top, left, SIDE))
    height, width = (SCALE * side for side in lr.shape[:2])
    return {"top": top, "left": left, "height": min(SIDE, height), "width": min(SIDE, width), "images": images}


def _square(pixels: Pixels, top: int, left: int, side: int) -> Pixels:
    return pixels[top : top + side, left : left + side]


def data_uri(pixels: Pixels) -> str:
    """Pixels as lossless WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "webp", lossless=True, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
