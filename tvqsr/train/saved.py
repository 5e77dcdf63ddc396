"""The batch that was saved of a step, in place of what its training would make."""

from __future__ import annotations

from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.manifest import SCALE
from tvqsr.plan.training import Training


class Saved:
    """The batch saved of a step, counted from 1, in its place; batches of other steps from the photos, where given."""

    def __init__(self, training: Training, step: int, batch: Batch, photos: CropSampler | None = None) -> None:
        self.training, self.step, self.saved, self.photos = training, step, batch, photos
        # The batch saved has its LR.
        self.scale, self.makes_lr = (photos.scale, photos.makes_lr) if photos else (SCALE, False)

    def of(self, share: int, shares: int) -> Saved:
        assert (share, shares) == (0, 1), "a step is done again in one process"
        return self

    def batch(self, step: int) -> Batch:
        return self.photos.batch(step) if self.photos and step + 1 != self.step else self.saved

    def seeds(self, step: int) -> list[list[int]]:
        assert self.photos
        return self.photos.seeds(step)
