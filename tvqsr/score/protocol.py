"""What a protocol is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tvqsr.data.images import Pixels

PairScore = Callable[[Pixels, Pixels, str], float]
"""(SR, HR, device) -> score; the border is cut off before where the protocol says so."""
ImageScore = Callable[[Pixels, str], float]
"""(SR, device) -> score, without reference."""
SetScore = Callable[[list[Path], list[Path], str], float]
"""(SR files, HR files, device) -> one score of the whole set."""


@dataclass(frozen=True)
class Protocol:
    """How a score comes about. Exactly one of `of_pair`, `of_image` and `of_set` is given.

    Devices are `cpu` or `cuda`. A score that is not finite means that it is not defined for these images.
    """

    name: str
    title: str
    higher_is_better: bool
    definition: str
    decimals: int
    """How many a table shows."""
    autoencoded: bool = False
    """Whether both images go through the preset's auto-encoder first, as 8-bit images."""
    crops: bool = False
    """Whether a border is left out; otherwise the whole image counts."""
    smallest: int = 1
    """Least side, in pixels, of an image that can be scored, after the crop."""
    load: Callable[[str], object] | None = None
    """Make its network ready on a device, given the weights of `tvqsr.plan.protocols.WEIGHTS`."""
    of_pair: PairScore | None = None
    of_image: ImageScore | None = None
    of_set: SetScore | None = None

    @property
    def needs_hr(self) -> bool:
        return self.of_image is None
