"""A damaged photo for which Pillow raises none of its usual errors, by everyone who opens photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from tvqsr.data.hub import _write
from tvqsr.data.images import read_image
from tvqsr.data.overlap import Photo, _look
from tvqsr.errors import UserError
from tvqsr.fetch.decode import decode


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """An AVIF that does not say which of its items is the photo: RuntimeError."""
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)).save(path, "AVIF")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"pitm", b"none"))
    with pytest.raises(RuntimeError), Image.open(path) as image:
        image.load()
    return path


def test_it_is_named_where_it_is_read(damaged: Path) -> None:
    with pytest.raises(UserError, match=r"a\.png: damaged or truncated image \(Failed to decode image"):
        read_image(damaged)


def test_it_is_named_where_it_was_fetched(damaged: Path) -> None:
    with pytest.raises(UserError, match=r"a\.png of it: is damaged \(Failed to decode image"):
        decode(damaged, "a.png of it")


def test_it_is_named_where_a_hub_set_holds_it(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row 3: is not an image of a known kind"):
        _write(damaged.read_bytes(), tmp_path / "b", "row 3")


def test_it_counts_as_unreadable_where_sets_are_compared(damaged: Path) -> None:
    assert _look(Photo("a", damaged)) is None
