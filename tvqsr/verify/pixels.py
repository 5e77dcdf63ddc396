"""Pixels of a bundle's PNGs: decoded only where a header has the size that the records tell, so that none is a bomb."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tvqsr.data.images import Pixels, read_image, stored_size
from tvqsr.data.manifest import SCALE, Pair
from tvqsr.errors import UserError
from tvqsr.files import sha256
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import image_file, photo_file

LARGEST = 2**26
"""Most pixels that are decoded, whatever the records tell; photos of 8K have half as many."""
NOT_RECORDED = "SHA-256 is not the recorded one"
Size = tuple[Any, Any]
"""Width and height in pixels, as a stranger's record has them."""


def size_of(about: Mapping[str, Any], kind: str = "hr") -> Size:
    """Size of a photo, `hr` or `lr`, or of an image, by the manifest or the record that lists it."""
    width, height = about["width"], about["height"]
    return (width // SCALE, height // SCALE) if kind == "lr" else (width, height)


def wrong_with(path: Path, digest: str, size: Size) -> str:
    """Why a PNG that is there is not the one recorded, and is not to be decoded; empty if it is.

    Only its header is decoded.
    """
    if sha256(path) != digest:
        return NOT_RECORDED
    try:
        found = stored_size(path)
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
    if found != tuple(size):
        return f"is {found[0]} x {found[1]} pixels, not {size[0]} x {size[1]} as recorded; it is not decoded"
    return "" if found[0] * found[1] <= LARGEST else f"has more than {LARGEST} pixels; it is not decoded"


def is_sound(path: Path, digest: str, size: Size) -> bool:
    """Whether a PNG is there, is the one recorded, and may be decoded."""
    return path.is_file() and not wrong_with(path, digest, size)


def sound_image(
    bundle: Bundle, place: tuple[str, int, str], name: str, recorded: Mapping[str, Mapping[str, Any]]
) -> Path | None:
    """PNG of an image of (entry, seed, test set), by what its record lists; None unless it is sound."""
    path = image_file(bundle, *place, name)
    about = recorded.get(name)
    return path if about and is_sound(path, about["sha256"], size_of(about)) else None


def sound_pair(bundle: Bundle, testset: str, about: Mapping[str, Any]) -> Pair | None:
    """A test photo as the manifest describes it; None unless all that it lists of it is sound."""
    paths = {}
    for kind in ("hr", "lr"):
        if f"{kind}_sha256" in about:
            paths[kind] = photo_file(bundle, testset, kind, about["name"])
            if not is_sound(paths[kind], about[f"{kind}_sha256"], size_of(about, kind)):
                return None
    return Pair(about["name"], paths.get("hr"), paths["lr"]) if "lr" in paths else None


def pixels_of(path: Path | None) -> Pixels | None:
    """Pixels of a sound PNG (H, W, 3); None without one. Raises UserError for one that is damaged."""
    return None if path is None else read_image(path)
