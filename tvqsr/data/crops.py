"""Training crops of a prepared training set: a pure function of (seed, step, position).

So a resumed run sees the same batches.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvqsr.console import say_oneself
from tvqsr.data.area import area_resize
from tvqsr.data.images import Pixels
from tvqsr.data.resize import resize
from tvqsr.data.store import Photo, UndecodableError, open_store
from tvqsr.errors import UserError
from tvqsr.plan.training import Training

ATTEMPTS = 20


class Batch(NamedTuple):
    """HR crops (B, 3, H, W) and their LR (B, 3, H/4, W/4), float32 in [0, 1].

    LR is (B, 3, 0, 0) where a stage trains on HR alone, and until it is made where the training makes its own.
    """

    hr: Tensor
    lr: Tensor


class CropSampler:
    """Random crops of the photos of a prepared training set; every photo is equally likely.

    `with_lr` is whether the stage trains on pairs. Raises UserError for a set that does not suit the training.
    """

    def __init__(self, folder: Path, training: Training, seed: int, with_lr: bool = True) -> None:
        self.photos, self.scale = open_store(folder)
        self.training, self.seed, self.folder = training, seed, folder
        self.share, self.shares = 0, 1
        self.whole: set[str] = set()
        """Photos whose pixels were compared with the manifest."""
        self.damaged: set[str] = set()
        """Photos that could not be decoded."""
        self.left_out: Path | None = None
        """Where their names are noted, by whichever process meets them."""
        self.paired = with_lr and training.degradation == "prepared"
        self.makes_lr = with_lr and not self.paired
        if self.paired:
            self._check_photos(folder)

    def of(self, share: int, shares: int) -> CropSampler:
        """One that gives a share of each batch, as large as the others; they follow one another in the whole batch."""
        part = copy(self)
        part.share, part.shares = share, shares
        return part

    def batch(self, step: int) -> Batch:
        """The batch of a step, or this sampler's share of it, on the CPU."""
        side = self.training.crops_at(step)[1]
        crops = [self._crop(np.random.default_rng([self.seed, step, place]), side) for place in self._places(step)]
        lr = _to_unit([lr for _, lr in crops]) if self.paired else torch.empty(len(crops), 3, 0, 0)
        return Batch(_to_unit([hr for hr, _ in crops]), lr)

    def seeds(self, step: int) -> list[list[int]]:
        """Seed of what is random in the LR of each crop of a step: apart from the seeds of the crops themselves."""
        return [[self.seed, step, position, 1] for position in self._places(step)]

    def _places(self, step: int) -> range:
        """Positions of this share in the whole batch."""
        size = self.training.crops_at(step)[0] // self.shares
        return range(self.share * size, (self.share + 1) * size)

    def _check_photos(self, folder: Path) -> None:
        """Pairs cannot be mirrored beyond their border, since LR was made of the photo as it is."""
        largest = max(self.training.crops_at(step)[1] for step in (0, self.training.steps - 1))
        for photo in self.photos:
            if photo.pixels is None:
                raise UserError(
                    f"{folder}: a set with `store: files` has no prepared LR; set `degradation: realesrgan`"
                )
            height, width = photo.pixels[0].shape[:2]
            if min(height, width) < largest:
                raise UserError(
                    f"{folder}: photo `{photo.name}` is {width} x {height}, smaller than the {largest}-pixel crop; "
                    f"remove it or lower `hr_crop`"
                )

    def _crop(self, random: np.random.Generator, side: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """HR crop (side, side, 3), uint8 or, where resized, float32 in [0, 1]; and its LR crop, empty if unpaired."""
        photo, hr = self._readable(random)
        if not self.paired:
            short = min(hr.shape[:2])
            square = max(side, {"cut": side, "resized": short, "rescaled": min(short, 2 * side)}[self.training.crop])
            cut = _square(_mirrored(hr, square), square, random)
            return _turned(self._of_side(cut, side, random), *self._augmentation(random)), cut[:0]
        assert photo.pixels
        lr, small = photo.pixels[1], side // self.scale
        top, left = (int(random.integers(length - small + 1)) for length in lr.shape[:2])
        hr = hr[top * self.scale :, left * self.scale :][:side, :side]
        turns = self._augmentation(random)
        return _turned(hr, *turns), _turned(lr[top:, left:][:small, :small], *turns)

    def _of_side(self, square: Pixels, side: int, random: np.random.Generator) -> NDArray[Any]:
        """(side, side, 3) of a square: uint8 where it is as large, else float32 in [0, 1]."""
        if self.training.crop == "rescaled":
            return _square(_shrunk(square, int(random.integers(side, len(square) + 1))), side, random)
        return area_resize(square.astype(np.float32) / 255, side) if len(square) > side else square

    def _readable(self, random: np.random.Generator) -> tuple[Photo, Pixels]:
        """A random photo. One that turns out damaged does not end a training of days: another is drawn, and it is said.

        Raises UserError if one after the other is damaged, or one has changed since the set was prepared.
        """
        for _ in range(ATTEMPTS):
            photo = self.photos[random.integers(len(self.photos))]
            self._check_once(photo)
            try:
                return photo, photo.hr()
            except UndecodableError as error:
                self._leave_out(photo, error)
        raise UserError(f"{ATTEMPTS} photos drawn one after the other cannot be read; see the lines above")

    def _leave_out(self, photo: Photo, error: UndecodableError) -> None:
        """Say it once in each process that reads, and note it for all of them."""
        if photo.name in self.damaged:
            return
        self.damaged.add(photo.name)
        say_oneself(f"left out of every batch: {error}")
        if self.left_out:
            self.left_out.parent.mkdir(parents=True, exist_ok=True)
            with self.left_out.open("a", encoding="utf-8") as file:
                file.write(f"{photo.name}\n")

    def _check_once(self, photo: Photo) -> None:
        """Refuse a photo of the store that changed: when it is first drawn, so that no training waits for all."""
        if photo.name in self.whole:
            return
        try:
            photo.check()
        except UserError as error:
            raise UserError(f"{self.folder}: {error}") from None
        self.whole.add(photo.name)

    def _augmentation(self, random: np.random.Generator) -> tuple[bool, int]:
        flip, turns = bool(random.integers(2)), int(random.integers(4))
        augment = self.training.augment
        return (flip and augment != "none", turns if augment == "dihedral" else 0)


def _square(pixels: NDArray[Any], side: int, random: np.random.Generator) -> NDArray[Any]:
    """A random square of that side."""
    top, left = (int(random.integers(length - side + 1)) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _shrunk(square: Pixels, side: int) -> NDArray[Any]:
    """A square resized by OpenCV's bicubic, without antialiasing (FeMaSR's released data set), and clamped to [0, 1].

    uint8 as it is where its side is that already.
    """
    if len(square) == side:
        return square
    image = torch.from_numpy(square.astype(np.float32) / 255).permute(2, 0, 1).unsqueeze(0)
    return resize(image, (side, side), "bicubic").clamp(0, 1)[0].permute(1, 2, 0).numpy()


def _mirrored(pixels: Pixels, least: int) -> Pixels:
    """Extended right and bottom to at least `least` a side, mirrored without repeating the edge (released code)."""
    height, width = pixels.shape[:2]
    extra = max(0, least - height), max(0, least - width)
    return np.pad(pixels, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="reflect") if any(extra) else pixels


def _turned(pixels: NDArray[Any], flip: bool, turns: int) -> NDArray[Any]:
    pixels = pixels[:, ::-1] if flip else pixels
    return np.rot90(pixels, turns)


def _to_unit(crops: list[NDArray[Any]]) -> Tensor:
    """(B, 3, H, W) float32 in [0, 1] of uint8 or unit crops (H, W, 3)."""
    if all(crop.dtype == np.uint8 for crop in crops):
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous().float() / 255.0
    unit = [crop / np.float32(255) if crop.dtype == np.uint8 else crop for crop in crops]
    return torch.from_numpy(np.stack(unit)).permute(0, 3, 1, 2).contiguous()
