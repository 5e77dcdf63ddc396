"""LR of a photo of a folder or a set: the one way in which `prepare` and `degrade` make it."""

from __future__ import annotations

import zlib
from pathlib import Path

from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.images import Pixels, to_pixels
from tvqsr.errors import UserError
from tvqsr.plan.degradation import Degradation


def cut_hr(photo: Pixels, multiple: int, file: Path) -> Pixels:
    """(H, W, 3) uint8 cut right and below so that its sides are multiples of `multiple`.

    Raises UserError naming `file`, which the photo is of, if nothing would be left.
    """
    if min(photo.shape[:2]) < multiple:
        raise UserError(f"{file}: is smaller than {multiple} x {multiple} pixels")
    return mod_crop(photo, multiple)


def photo_seed(name: str, seed: int = 0) -> list[int]:
    """Seed of what is random in the LR of a photo: by its name, so that it has the same LR in every set."""
    return [seed, zlib.crc32(name.encode())]


def make_lr(
    hr: Pixels, degradation: Degradation, name: str, scale: int = 4, seed: int = 0, device: str = "cpu"
) -> Pixels:
    """LR (H / scale, W / scale, 3) uint8 of the photo of that name; sides of HR are multiples of `scale`.

    On a GPU the parameters drawn are those of the CPU and the noise fields are others.
    """
    if degradation == "bicubic":
        return downscale(hr, scale)
    import torch

    from tvqsr.data.degrade import RECIPES, degrade

    unit = torch.from_numpy(hr.copy()).to(device).permute(2, 0, 1).unsqueeze(0).float() / 255
    lr = degrade(unit, RECIPES[degradation], [photo_seed(name, seed)], scale)
    return to_pixels(lr[0].permute(1, 2, 0).cpu().numpy())
