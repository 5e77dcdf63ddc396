"""What a protocol is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.protocols import weights_of
from tvqsr.score.distances import Distance, Features, Owners
from tvqsr.score.features import Seen
from tvqsr.score.picture import Picture

PairScore = Callable[[Picture, Picture, str], float]
"""(SR, HR, device) -> score; the border is cut off before where the protocol says so."""
ImageScore = Callable[[Picture, str], float]
"""(SR, device) -> score, without reference."""
SetScore = Callable[[Features, Features, Owners], Distance]
"""Features of SR and of HR, and which image each row is of -> one score of the whole set."""


class UnfitError(UserError):
    """What a protocol raises of one image that it has no number for; others are scored all the same."""


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
    colours: str
    """Which samples are compared, and of which matrix where they are luma."""
    rounding: str
    """What is rounded to 8 bits."""
    network: str = "none"
    """Its name; the files of its weights are added."""
    library: tuple[str, ...] = ("tvqsr", "numpy")
    """Installed distributions that compute it."""
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
    seen: Seen | None = None
    """What features `of_set` is given."""
    biased_below: int = 0
    """The least number of images or patches of a set that its reader need not be warned of."""

    @property
    def needs_hr(self) -> bool:
        return self.of_image is None

    def about(self, crop: int) -> dict[str, str | int]:
        """All that tells its numbers from those of another protocol: a stored score has it beside the number."""
        return {
            "crop": crop if self.crops else 0,
            "colours": self.colours,
            "rounding": self.rounding,
            "network": ", ".join([self.network, *(Path(file.path).name for file in weights_of(self.name))]),
            "library": ", ".join(f"{name} {version(name)}" for name in self.library),
            "definition": self.definition,
        }
