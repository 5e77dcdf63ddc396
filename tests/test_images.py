"""What kinds of image files are taken, converted or refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvqsr.data.images import read_image, to_pixels, write_png
from tvqsr.errors import UserError

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
GREY = RGB[..., 0]


def png_of_16_bits(path: Path) -> None:
    """A 16-bit RGB PNG written by hand, since Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(6 * 4) for _ in range(3))
    header = struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_rgb_survives_a_round_trip(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGB)
    assert np.array_equal(read_image(tmp_path / "a.png"), RGB)


def test_grey_palette_and_opaque_alpha_are_converted(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.stack([GREY] * 3, axis=2))
    Image.fromarray(RGB).convert("RGBA").save(tmp_path / "opaque.png")
    assert np.array_equal(read_image(tmp_path / "opaque.png"), RGB)
    Image.fromarray(RGB).quantize(256).save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), RGB)


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(RGB, -1))


def test_what_cannot_be_converted_without_a_choice_is_refused(tmp_path: Path) -> None:
    transparent = np.dstack([RGB, np.full((4, 5), 128, np.uint8)])
    Image.fromarray(transparent).save(tmp_path / "transparent.png")
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    png_of_16_bits(tmp_path / "rgb16.png")
    for name, reason in (
        ("transparent.png", "partly transparent"),
        ("cmyk.jpg", "is CMYK"),
        ("grey16.png", "more than 8 bits"),
        ("rgb16.png", "more than 8 bits"),
    ):
        with pytest.raises(UserError, match=f"{name}: .*{reason}"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "jpg"])
def test_ordinary_8_bit_files_of_any_size_are_read(tmp_path: Path, kind: str) -> None:
    """Offsets and strides in a decoder's arguments hold all kinds of digits, `16` among them."""
    for size in (540, 560, 720, *range(100, 130)):
        pixels = np.full((3, size, 3), 90, np.uint8)
        path = tmp_path / f"a.{kind}"
        Image.fromarray(pixels).save(path)
        assert read_image(path).shape == pixels.shape


def test_a_16_bit_ppm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n2 1\n65535\n" + bytes(12))
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.ppm")


def test_the_photo_in_a_phones_jpeg_is_its_first_picture(tmp_path: Path) -> None:
    photo, preview = (Image.new("RGB", (16, 8), colour) for colour in ("red", "blue"))
    photo.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[preview])
    assert read_image(tmp_path / "phone.jpg")[0, 0].tolist() == [254, 0, 0]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = tmp_path / "whole.png"
    write_png(whole, noise)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:5000])
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1500])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "cut.jpg", "text.png", "empty.png", "absent.png"):
        with pytest.raises(UserError, match=name) as error:
            read_image(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_tiff_that_goes_on_with_a_frame_without_sizes_is_named(tmp_path: Path) -> None:
    """Pillow raises TypeError of it, when it is asked for the number of frames (found by tests/faults/fuzz.py)."""
    path = tmp_path / "a.tiff"
    Image.fromarray(RGB).save(path)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * tags, len(content))
    path.write_bytes(content + struct.pack("<HI", 0, 0))
    with pytest.raises(
        UserError, match=r"a\.tiff: damaged or truncated image \(Missing dimensions\); replace the file"
    ):
        read_image(path)


def test_rounding_to_8_bits() -> None:
    unit = np.array([[[-0.2, 0.0, 1.7], [0.5 / 255, 1.5 / 255, 254.6 / 255]]])
    assert to_pixels(unit).tolist() == [[[0, 0, 255], [0, 2, 255]]]
