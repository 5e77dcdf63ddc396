"""Training crops from the memory-mapped store: a pure function of (seed, step, position).

So a resumed run sees the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvqsr.errors import UserError
from tvqsr.files import read_json


class Batch(NamedTuple):
    """HR crops (B, 3, H, W) and their LR (B, 3, H/4, W/4), float32 in [0, 1]."""

    hr: Tensor
    lr: Tensor


@dataclass(frozen=True)
class Photo:
    """One photo of the store: memory-mapped HR (H, W, 3) and LR (H/4, W/4, 3)."""

    name: str
    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]


class CropSampler:
    """Random aligned crops of the photos of a prepared training set; every photo is equally likely."""

    def __init__(self, folder: Path, hr_crop: int, batch_size: int, augment: str, seed: int) -> None:
        self.photos, self.scale = _open_store(folder)
        self.hr_crop, self.batch_size, self.augment, self.seed = hr_crop, batch_size, augment, seed
        for photo in self.photos:
            if min(photo.hr.shape[:2]) < hr_crop:
                raise UserError(
                    f"{folder}: photo `{photo.name}` is {photo.hr.shape[1]} x {photo.hr.shape[0]}, "
                    f"smaller than the {hr_crop}-pixel crop; "
                    f"remove it or lower `hr_crop`"
                )

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        pairs = [self._crop(np.random.default_rng([self.seed, step, position])) for position in range(self.batch_size)]
        return Batch(_to_unit([hr for hr, _ in pairs]), _to_unit([lr for _, lr in pairs]))

    def _crop(self, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        photo = self.photos[random.integers(len(self.photos))]
        side = self.hr_crop // self.scale
        top = int(random.integers(photo.lr.shape[0] - side + 1))
        left = int(random.integers(photo.lr.shape[1] - side + 1))
        hr = photo.hr[top * self.scale :, left * self.scale :][: self.hr_crop, : self.hr_crop]
        lr = photo.lr[top:, left:][:side, :side]
        flip, turns = self._augmentation(random)
        return _turned(hr, flip, turns), _turned(lr, flip, turns)

    def _augmentation(self, random: np.random.Generator) -> tuple[bool, int]:
        flip, turns = bool(random.integers(2)), int(random.integers(4))
        return (flip and self.augment != "none", turns if self.augment == "dihedral" else 0)


def _turned(pixels: NDArray[np.uint8], flip: bool, turns: int) -> NDArray[np.uint8]:
    pixels = pixels[:, ::-1] if flip else pixels
    return np.rot90(pixels, turns)


def _to_unit(crops: list[NDArray[np.uint8]]) -> Tensor:
    stacked = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    return stacked.float() / 255.0


def _open_store(folder: Path) -> tuple[list[Photo], int]:
    manifest = read_json(folder / "manifest.json")
    if manifest["role"] != "training":
        raise UserError(f"{folder}: was prepared for testing, not for training")
    scale = manifest["scale"]
    total = sum(3 * image["height"] * image["width"] for image in manifest["images"])
    hr_path, lr_path = folder / "hr.u8", folder / "lr.u8"
    for path, expected in ((hr_path, total), (lr_path, total // scale**2)):
        if not path.is_file() or path.stat().st_size != expected:
            raise UserError(
                f"{path}: missing or not {expected} bytes long; "
                f"delete {folder / 'manifest.json'} and run snakemake again"
            )
    hr, lr = (np.memmap(path, np.uint8, mode="r") for path in (hr_path, lr_path))
    photos, start = [], 0
    for image in manifest["images"]:
        h, w = image["height"], image["width"]
        stop = start + 3 * h * w
        small = lr[start // scale**2 : stop // scale**2].reshape(h // scale, w // scale, 3)
        photos.append(Photo(image["name"], hr[start:stop].reshape(h, w, 3), small))
        start = stop
    return photos, scale
