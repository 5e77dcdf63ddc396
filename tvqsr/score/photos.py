"""What is scored, under which conditions, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tvqsr.data.images import Pixels
from tvqsr.errors import UserError
from tvqsr.plan.folders import named_images
from tvqsr.score.protocol import Protocol

PairFiles = tuple[str, Path, Path | None]
"""Name, SR file, and HR file where there is one."""
AutoEncoder = Callable[[Pixels], Pixels]
"""(H, W, 3) uint8 -> the same, of the same size."""
WHOLE_SET = "(set)"
"""In place of an image's name, for a score of the whole set."""
NO_HR = "no HR: the photo exists in low resolution only"
NO_AUTOENCODER = "its auto-encoder is trained for AESOP, and no entry that is made here needs it"
UNDEFINED = "not defined here: no finite number comes out"


@dataclass(frozen=True)
class Score:
    """One number, or the reason why there is none."""

    image: str
    protocol: str
    value: float | None
    reason: str | None = None
    error: float | None = None
    """Standard error of a number of the whole set, where it has one."""
    note: str | None = None
    """What the number's definition does not tell, but its reader should know."""


@dataclass(frozen=True)
class Photo:
    """A reference and what methods made of it, one file each."""

    name: str
    sr: tuple[Path, ...]
    hr: Path | None


@dataclass(frozen=True)
class Conditions:
    """What scoring needs beside images and protocols. Numbers depend on all of it but the number of workers."""

    crop: int
    downloads: bool = False
    """Whether absent weights may be fetched."""
    device: str = "cpu"
    workers: int = 1
    """Photos at a time, each on a thread of its own; no more are in memory."""
    autoencoder: AutoEncoder | None = None
    """What some protocols look through."""
    kept: Path | None = None
    """Folder where features of references wait for the next method; None where nothing is kept."""


def paired_by_name(sr_folder: Path, hr_folder: Path) -> list[PairFiles]:
    """(name, SR file, HR file) of two folders, by name without ending.

    Raises UserError naming a file without partner.
    """
    sr, hr = named_images(sr_folder), named_images(hr_folder)
    for name, file in hr.items():
        if name not in sr:
            raise UserError(f"{file}: has no partner of that name in {sr_folder}")
    for name, file in sr.items():
        if name not in hr:
            raise UserError(f"{file}: has no partner of that name in {hr_folder}")
    return [(name, sr[name], hr[name]) for name in sorted(hr)]


def finite(image: str, protocol: Protocol, value: float) -> Score:
    """A score, or that it is not defined."""
    return Score(image, protocol.name, value) if math.isfinite(value) else Score(image, protocol.name, None, UNDEFINED)
