"""HR and LR of each photo of a set: LR given, or made of HR."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tvqsr.data.ahead import in_order
from tvqsr.data.images import Pixels, read_image
from tvqsr.data.lr import cut_hr, make_lr
from tvqsr.data.manifest import SCALE
from tvqsr.data.sources import Photos
from tvqsr.errors import UserError
from tvqsr.files import sha256
from tvqsr.plan.preset import DatasetSpec

Written = TypeVar("Written")


class PixelPair(NamedTuple):
    """A photo as it is prepared."""

    name: str
    file: Path
    """Of HR; of LR in a set without HR."""
    hr: Pixels | None
    """(H, W, 3), `SCALE` times as large as `lr`; None in a set without HR."""
    lr: Pixels
    cut: dict[str, int]
    """Rows at the `bottom` and columns at the `right` that HR's file has beyond `hr`; empty in a set without HR."""

    def described(self) -> dict[str, Any]:
        """What the manifest says of it; height and width are HR's, in a set without HR those that it would have."""
        height, width = (SCALE * side for side in self.lr.shape[:2])
        told = {"name": self.name, "source": self.file.name, "source_sha256": sha256(self.file)}
        return {**told, "height": height, "width": width} | ({"cut": self.cut} if self.cut else {})


def each_pair(
    photos: Photos, dataset: DatasetSpec, then: Callable[[PixelPair], Written], threads: int
) -> Iterator[Written]:
    """What `then` makes of each pair, in the set's order, on `threads` threads with as many pairs in memory.

    Raises UserError for a damaged photo, one too small, or a pair whose sizes do not fit.
    """
    pair = partial(_given, photos) if photos.lr else partial(_made, photos, dataset)
    # Blind degradations are torch's, which has threads of its own.
    alone = threads == 1 or not (photos.lr or dataset.degradation == "bicubic")
    yield from in_order(lambda name: then(pair(name)), photos.lr or photos.hr, 0 if alone else threads)


def _made(photos: Photos, dataset: DatasetSpec, name: str) -> PixelPair:
    file = photos.hr[name]
    whole = read_image(file)
    hr = cut_hr(whole, dataset.multiple, file)
    return PixelPair(name, file, hr, make_lr(hr, dataset.degradation, name, SCALE), _cut(whole, hr))


def _given(photos: Photos, name: str) -> PixelPair:
    """The set's own LR. HR is up to `SCALE` - 1 pixels a side larger where LR was made of HR cut to whole multiples."""
    file = photos.lr[name]
    lr = read_image(file)
    if not photos.hr:
        return PixelPair(name, file, None, lr, {})
    whole = read_image(photos.hr[name])
    height, width = (SCALE * side for side in lr.shape[:2])
    if not all(0 <= found - side < SCALE for found, side in zip(whole.shape, (height, width), strict=False)):
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (lr, whole)]
        raise UserError(
            f"{file}: LR is {sizes[0]} and HR {sizes[1]}; HR must be {SCALE} times as large, "
            f"or up to {SCALE - 1} pixels a side larger"
        )
    hr = whole[:height, :width]
    return PixelPair(name, photos.hr[name], hr, lr, _cut(whole, hr))


def _cut(whole: Pixels, kept: Pixels) -> dict[str, int]:
    return {"bottom": whole.shape[0] - kept.shape[0], "right": whole.shape[1] - kept.shape[1]}
