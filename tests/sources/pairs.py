"""A set of two pairs of noise, its archive, and what a catalogue says of it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image


def png(size: tuple[int, int], seed: int = 0) -> bytes:
    """A PNG of noise, `size` wide and high."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    """A ZIP archive with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in members.items():
            content.writestr(name, data)
    return buffer.getvalue()


PAIRS = {
    "set/gt/a.png": png((64, 48)),
    "set/gt/b.png": png((40, 40), 1),
    "set/lq/a.png": png((16, 12), 2),
    "set/lq/b.png": png((10, 10), 3),
}


Declare = Callable[[dict[str, Any]], None]


def pairs_source(address: str, content: bytes | None, **more: Any) -> dict[str, Any]:
    """A set of the catalogue: the archive `pairs.zip` at an address, with its hash if its content is given."""
    known = {} if content is None else {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {
        "kind": "archive",
        "title": "Pairs",
        "licence": "none",
        "archives": {"pairs.zip": {"addresses": [f"{address}/pairs.zip"], **known}},
        "hr": {"pairs.zip": "**/gt/{name}.png"},
        "lr": {"pairs.zip": "**/lq/{name}.png"},
        "photos": 2,
        **more,
    }
