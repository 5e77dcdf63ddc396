"""Photos of noise, for tests that look at no content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def photos(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A folder of noise photos `p0`, `p1`, ... of the given (width, height)."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(sizes))
    for number, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder
