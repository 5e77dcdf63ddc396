"""Photos upscaled in tiles against the same in whole: how far they are apart, and whether tiles meet in a step."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.benchmarks.large import silent
from tvqsr.data.images import read_image, to_pixels
from tvqsr.plan.folders import named_images
from tvqsr.plan.stored import stored_plan
from tvqsr.upscale.grid import TILE, grid
from tvqsr.upscale.job import load_upscaler, to_unit
from tvqsr.upscale.padding import padded
from tvqsr.upscale.tiles import tiled


def seams(run: Path, entry: str, photos: Path, tile: int = TILE) -> list[dict[str, Any]]:
    """A finished run's entry, its first seed, on each photo of a folder that is larger than a tile.

    In grey levels of 255: `rms_difference` between the two 8-bit images. A seam is a step that all of a row or column
    makes: `largest_step` is that of the difference between the two, `own_step` that of the image upscaled in whole.
    """
    plan = stored_plan(run)
    model, device = load_upscaler(plan, plan.entry(entry), plan.entry(entry).seeds[0])
    side, overlap = grid(tile, model.multiple)
    found: list[dict[str, Any]] = []
    for name, file in named_images(photos).items():
        image = to_unit(read_image(file), device)
        if max(image.shape[-2:]) <= side:
            continue
        with torch.inference_mode():
            whole = padded(model, image, model.multiple).float().cpu()
            parts = tiled(model, image, model.multiple, tile, silent).float()
        pixels = [to_pixels(unit[0].permute(1, 2, 0).numpy()).astype(np.float64) for unit in (parts, whole)]
        row: dict[str, Any] = {
            "photo": name,
            "lr": list(image.shape[-2:]),
            "rms_difference": float(np.sqrt(np.square(pixels[0] - pixels[1]).mean())),
            "largest_step": largest_step(parts - whole),
            "own_step": largest_step(whole),
        }
        found.append(row)
        print("  {photo:<24}{rms_difference:6.2f} apart   step {largest_step:6.2f} of {own_step:6.2f}".format(**row))
    told = f"{entry}, {len(found)} photos in tiles of {side} that share {overlap} or more"
    if found:
        print(f"{told}: {mean(row['rms_difference'] for row in found):.2f} levels from whole in the mean")
    return [{"entry": entry, "tile": side, "overlap": overlap, "photos": found}]


def largest_step(image: Tensor) -> float:
    """Of (1, C, H, W) of span 1: the largest mean step from a row or column to the next one, in levels of 255."""
    steps = [image.diff(dim=side).mean(dim=(0, 1, other)).abs().max() for side, other in ((2, 3), (3, 2))]
    return 255 * float(max(steps))
