"""Reading photos as 8-bit RGB and writing PNGs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tvqsr.errors import UserError
from tvqsr.files import written_beside
from tvqsr.undecodable import UNDECODABLE

Pixels = NDArray[np.uint8]
"""An RGB photo: (height, width, 3), uint8."""
LOSSLESS = ("PNG", "BMP")
"""Formats, by Pillow's names, that never lose anything of 8-bit RGB."""


def read_image(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 RGB, upright as its EXIF says.

    Grey, palette and opaque RGBA images are converted. Transparent, CMYK and 16-bit images are refused, since
    converting them needs a choice that is not ours (a background, a colour profile, a tone curve). Raises UserError
    naming the file.
    """
    with _opened(path) as image:
        return _as_rgb(ImageOps.exif_transpose(image), path)


def decoded(content: bytes, path: Path) -> Pixels:
    """As `read_image`, of a photo's file that was read already; `path` is for errors."""
    with _opened(path, content) as image:
        return _as_rgb(ImageOps.exif_transpose(image), path)


def has_one_channel(path: Path) -> bool:
    """Whether a photo's file holds shades of grey alone. Raises UserError as `read_image`."""
    with _opened(path) as image:
        return image.mode in ("1", "L")


def read_output(path: Path) -> Pixels:
    """Read somebody's finished output as (H, W, 3) uint8: 8-bit RGB, PNG or BMP, nothing converted.

    Lossy files are refused, whatever their ending: their scores are not the method's. Raises UserError naming the file.
    """
    with _opened(path) as image:
        if image.format not in LOSSLESS:
            raise UserError(
                f"{path}: is {image.format}; outputs are PNG or BMP, as the method made them (JPEG is lossy)"
            )
        if image.mode != "RGB":
            raise UserError(
                f"{path}: colour mode {image.mode}; outputs are 8-bit RGB, grey ones with three equal channels"
            )
        return np.asarray(image)


def stored_size(path: Path) -> tuple[int, int]:
    """Width and height by a photo's header, as stored, before EXIF turns it. Raises UserError for a refused kind."""
    with _opened(path) as image:
        return image.size


def listed(path: Path) -> tuple[int, int]:
    """Width and height by a photo's header, as stored, before EXIF turns it.

    Raises UserError for a kind that `read_image` refuses, or might refuse once it is decoded (transparency).
    """
    with _opened(path) as image:
        if _may_be_transparent(image):
            raise UserError(f"{path}: may be transparent; flatten it onto a background first")
        return image.size


@contextmanager
def _opened(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """A photo of a clear kind; whatever goes wrong with it while it is open is told as UserError."""
    try:
        with Image.open(path if content is None else BytesIO(content)) as image:
            _refuse_unclear(image, path)
            yield image
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: is not an image that can be read (or is damaged from its first bytes on)") from None
    except UNDECODABLE as error:
        raise UserError(f"{path}: damaged or truncated image ({error}); replace the file") from None


def _refuse_unclear(image: Image.Image, path: Path) -> None:
    if image.mode == "CMYK":
        raise UserError(f"{path}: is CMYK; convert it to RGB first")
    if image.mode.startswith(("I", "F")) or _has_16_bits(image):
        raise UserError(f"{path}: has more than 8 bits per sample ({image.mode}); convert it to 8 bits first")
    # MPO is what phones call a JPEG with a second picture (depth, preview) behind the photo: the first frame is it.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise UserError(f"{path}: holds several images; split it first")


def _has_16_bits(image: Image.Image) -> bool:
    """Whether samples are wider than 8 bits in the file: Pillow silently drops the low byte, but the raw mode tells."""
    for tile in getattr(image, "tile", []):
        arguments = tile[3]
        raw_mode = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
        if isinstance(raw_mode, str) and ";16" in raw_mode:
            return True
        if tile[0] in ("ppm", "ppm_plain") and isinstance(arguments, tuple) and arguments[-1] > 255:
            return True
    return False


def _may_be_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _as_rgb(image: Image.Image, path: Path) -> Pixels:
    if _may_be_transparent(image):
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise UserError(f"{path}: is partly transparent; flatten it onto a background first")
    if image.mode not in ("RGB", "RGBA", "L", "P", "1", "YCbCr"):
        raise UserError(f"{path}: colour mode {image.mode} is not supported; convert it to RGB first")
    return np.asarray(image.convert("RGB"))


def write_png(path: Path, pixels: Pixels) -> None:
    """Write (H, W, 3) uint8 RGB as PNG in one step."""
    with written_beside(path) as beside:
        Image.fromarray(pixels).save(beside, format="PNG")


def to_pixels(unit: NDArray[np.floating]) -> Pixels:
    """[0, 1] floats to 8 bits: clipped and rounded half to even, as everything that is scored."""
    return np.rint(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)
