"""An image that is scored, and what was computed of it: luma, moments, features."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.images import Pixels

Made = TypeVar("Made")
Sample = TypeVar("Sample", bound=np.generic)
Arrays = list[NDArray[Any]]
MakeArrays = Callable[[], Arrays]


class Picture:
    """(H, W, 3) uint8 RGB that remembers what one protocol computed of it for the next, and for the next method.

    For one thread at a time.
    """

    def __init__(self, pixels: Pixels, kept: Callable[[Any, MakeArrays], Arrays] | None = None) -> None:
        self.pixels = pixels
        self._kept = kept
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, called for the first time that this key is asked for."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def kept_once(self, made_from: Callable[[], Any], make: MakeArrays) -> Arrays:
        """Arrays computed of an image file and anything that JSON can say; on disk where there is a place for them."""
        return self._kept(made_from(), make) if self._kept else make()

    def without_border(self, border: int) -> Picture:
        """The same without a border of so many pixels on each side; itself where there is none to leave out."""
        return self.once(("without_border", border), lambda: Picture(cropped(self.pixels, border))) if border else self

    def through(self, change: Callable[[Pixels], Pixels]) -> Picture:
        """What a network makes of it."""
        return self.once(("through", id(change)), lambda: Picture(change(self.pixels)))


def cropped(pixels: NDArray[Sample], crop: int) -> NDArray[Sample]:
    """Without a border of `crop` pixels on each side."""
    return pixels[crop : pixels.shape[0] - crop, crop : pixels.shape[1] - crop]
