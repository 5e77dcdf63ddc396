"""A degradation that hardly degrades, and the seeds to draw it with."""

from __future__ import annotations

from dataclasses import replace

from tvqsr.data.degrade import REALESRGAN, Recipe


def seeds(batch: int, step: int = 0) -> list[list[int]]:
    """Of each image of a batch."""
    return [[7, step, position] for position in range(batch)]


def gentle(sharpened: bool = False) -> Recipe:
    """A recipe that only resizes: no blur to speak of, no noise, no second stage, and JPEG at its best."""
    recipe = REALESRGAN
    first = replace(
        recipe.first,
        blur=replace(recipe.first.blur, sinc_probability=0.0, kinds=(1.0, 0, 0, 0, 0, 0), sigma=(0.05, 0.05)),
        resize=replace(recipe.first.resize, up=0.0, down=0.0, keep=1.0),
        noise=replace(recipe.first.noise, gaussian_probability=1.0, sigma=(0.0, 0.0)),
    )
    best = (100.0, 100.0)
    return replace(
        recipe,
        sharpen=sharpened,
        first=first,
        first_jpeg=best,
        second_probability=0.0,
        last_sinc_probability=0.0,
        last_jpeg=best,
    )
