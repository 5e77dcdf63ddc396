"""Features of many images for distances between sets: which network, of what size of image, of which patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvqsr.data.ahead import in_order
from tvqsr.data.images import Pixels, read_image, stored_size
from tvqsr.errors import UserError
from tvqsr.score.distances import Features
from tvqsr.score.learned import exact

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8
"""Images that go through a network together, whatever the number of workers."""


@dataclass(frozen=True)
class Extractor:
    """A network that turns square images into vectors."""

    name: str
    side: int
    """Of the images it sees, in pixels."""
    build: Callable[[], Any]
    """A module from (B, 3, side, side) in [0, 255] to (B, d), in eval mode, with its weights."""


@dataclass(frozen=True)
class Seen:
    """What an extractor is shown of each image: all of it, or non-overlapping patches of that side."""

    extractor: Extractor
    patch: int | None = None

    def load(self, device: str) -> None:
        """Load its network."""
        _network(self.extractor, device)

    def rows(self, files: Sequence[Path]) -> list[int]:
        """How many rows of features each image gives, by its header: of patches, none where there is no whole one."""
        if self.patch is None:
            return [1] * len(files)
        sizes = map(stored_size, files)
        return [(width // self.patch) * (height // self.patch) for width, height in sizes]

    def features(self, files: Sequence[Path], device: str, workers: int) -> Features:
        """(n, d) float32: a row for each image, or for each patch, in the order of the files.

        No more than a few images are in memory. Raises UserError for an image without a whole patch.
        """
        network = _network(self.extractor, device)
        views = (view for found in in_order(self._views, files, workers) for view in found)
        with exact():
            rows = [_forward(network, batch, device) for batch in _batches(views)]
        return np.concatenate(rows)

    def _views(self, file: Path) -> list[NDArray[np.float32]]:
        pixels = read_image(file)
        return [resized(patch, self.extractor.side) for patch in self._patches(pixels, file)]

    def _patches(self, pixels: Pixels, file: Path) -> list[Pixels]:
        if self.patch is None:
            return [pixels]
        rows, columns = (range(0, length - self.patch + 1, self.patch) for length in pixels.shape[:2])
        found = [pixels[top : top + self.patch, left : left + self.patch] for top in rows for left in columns]
        if not found:
            height, width = pixels.shape[:2]
            raise UserError(f"{file}: is {width} x {height}, smaller than a patch of {self.patch} x {self.patch}")
        return found


def resized(pixels: Pixels, side: int) -> NDArray[np.float32]:
    """(H, W, 3) uint8 -> (3, side, side) float32 in [0, 255], not rounded: Pillow's bicubic with antialiasing.

    The resizing of clean-fid (Parmar et al. 2022).
    """
    channels = [Image.fromarray(pixels[..., channel].astype(np.float32)) for channel in range(3)]
    return np.stack(
        [np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 255) for image in channels]
    )


def _batches(views: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    while batch := list(islice(views, BATCH)):
        yield np.stack(batch)


def _forward(network: Any, batch: NDArray[np.float32], device: str) -> Features:
    import torch

    found: Features = network(torch.from_numpy(batch).to(device)).float().cpu().numpy()
    return found


@cache
def _network(extractor: Extractor, device: str) -> Any:
    return extractor.build().eval().to(device)


def _inception() -> Any:
    """The Inception network of 2015 that FID is defined by, by pyiqa: 2048 features after the last pooling."""
    from pyiqa.archs.inception import InceptionV3
    from torch import nn

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = InceptionV3(output_blocks=[3])

        def forward(self, images: Tensor) -> Tensor:
            # Neither resized again nor normalised: that is done here.
            return self.network((images - 128) / 128, False, False)[0].flatten(1)

    return Pooled()


def _alexnet() -> Any:
    """AlexNet of torchvision: 256 means over positions of the last convolution's output."""
    from torch import nn
    from torchvision.models import AlexNet_Weights, alexnet
    from torchvision.transforms import Normalize

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = alexnet(weights=AlexNet_Weights.IMAGENET1K_V1).features[:12]
            self.normalise = Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

        def forward(self, images: Tensor) -> Tensor:
            return self.layers(self.normalise(images / 255)).mean(dim=(2, 3))

    return Pooled()


INCEPTION = Extractor("inception", 299, _inception)
ALEXNET = Extractor("alexnet", 224, _alexnet)
