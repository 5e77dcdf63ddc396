"""Photos that two sets share: known again in any disguise, and nothing else taken for them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from tests.conftest import shared
from tvqsr.data import overlap
from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.overlap import ALIKE, Photo, Shared, find_shared, sign
from tvqsr.data.signature import Thumbnail, coarse, coarse_turned, likeness, thumbnail
from tvqsr.plan.catalogue import source_of
from tvqsr.plan.folders import named_images
from tvqsr.plan.source import SkimageSource

Disguise = Callable[[Image.Image], Image.Image]
EMBEDDED = Path(skimage.__file__).parent / "data"


def embedded(source: str) -> list[Photo]:
    """Photos of scikit-image, of one of the two sources of the catalogue."""
    found = source_of(source, "test")
    assert isinstance(found, SkimageSource)
    return [Photo(Path(name).stem, EMBEDDED / name) for name in sorted(found.files)]


def folder_photos(folder: Path) -> list[Photo]:
    return [Photo(name, path) for name, path in named_images(folder).items()]


def compared(training: list[Photo], tests: list[Photo]) -> list[Shared]:
    found, unreadable = find_shared(training, sign(training, 2, print), tests, 2)
    assert not unreadable
    return found


def pixels(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Disguise:
    return lambda image: Image.fromarray(np.ascontiguousarray(change(np.asarray(image))))


def by_four(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return downscale(mod_crop(image, 4), 4)


DISGUISES: dict[str, tuple[Disguise, dict[str, Any]]] = {
    "half": (lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC), {}),
    "LR by MATLAB's bicubic": (pixels(by_four), {}),
    "JPEG 75": (lambda image: image, {"format": "JPEG", "quality": 75}),
    "JPEG 30": (lambda image: image, {"format": "JPEG", "quality": 30}),
    "cut to multiples of 12": (pixels(lambda image: mod_crop(image, 12)), {}),
    "11 pixels cut": (lambda image: image.crop((0, 0, image.width - 11, image.height - 11)), {}),
    "grey": (lambda image: image.convert("L"), {}),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
    "upside down": (lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), {}),
    "turned": (lambda image: image.transpose(Image.Transpose.ROTATE_90), {}),
    "cut, transposed, LR, JPEG": (
        pixels(lambda image: by_four(mod_crop(image, 12)).swapaxes(0, 1)),
        {"format": "JPEG", "quality": 50},
    ),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_copy_is_known_again_and_nothing_else_is(
    tmp_path: Path, disguise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 17 photos in several goes, as a thousand times as many are.
    monkeypatch.setattr(overlap, "AT_ONCE", 5)
    change, options = DISGUISES[disguise]
    photos = embedded("skimage_train") + embedded("skimage_test")
    for photo in photos:
        assert photo.path is not None
        with Image.open(photo.path) as image:
            path = tmp_path / f"{photo.name}.{'jpg' if options else 'png'}"
            change(image.convert("RGB")).save(path, **options)
    found = compared(photos, folder_photos(tmp_path))
    assert [(pair.training, pair.test) for pair in found] == [(photo.name, photo.name) for photo in photos]
    assert all(ALIKE <= pair.likeness <= 1 for pair in found)


def test_the_same_file_under_another_name_is_said_to_be_it(tmp_path: Path) -> None:
    shutil.copy(EMBEDDED / "coffee.png", tmp_path / "other.png")
    (pair,) = compared(embedded("skimage_train"), folder_photos(tmp_path))
    assert pair == Shared("coffee", "other", 1.0, same_file=True)


def test_sets_of_the_presets_share_nothing() -> None:
    assert compared(embedded("skimage_train"), embedded("skimage_test")) == []


def test_another_shot_of_a_scene_is_not_the_same_photo() -> None:
    """The stated rule: a stereo pair is more alike than any two different photos, and is two photos."""
    left, right = ([Photo(name, EMBEDDED / f"{name}.png")] for name in ("motorcycle_left", "motorcycle_right"))
    assert compared(left, right) == []
    looks = [thumbnail(Image.open(photo.path)) for (photo,) in (left, right) if photo.path]
    assert 0.6 < likeness(looks[0], looks[1]) < ALIKE - 0.05


def test_a_small_crop_is_not_found(tmp_path: Path) -> None:
    """The stated blind spot; should this fail, the docstrings and the record say too little of what is found."""
    with Image.open(EMBEDDED / "coffee.png") as image:
        image.crop((100, 100, 356, 356)).save(tmp_path / "crop.png")
    assert compared(embedded("skimage_train"), folder_photos(tmp_path)) == []


def test_one_photo_of_set5_is_among_the_shared_training_photos() -> None:
    """BSDS500's 302003 is `woman`, three quarters as large: seen by eye. 595 x 78 others are different photos."""
    photos = folder_photos(shared("training_photos"))
    signatures = sign(photos, 2, print)
    found = {
        f"{folder.parent.name}/{folder.name}": find_shared(photos, signatures, folder_photos(folder), 2)[0]
        for folder in sorted(shared("testsets").glob("*/*"))
    }
    assert len(found) == 6
    woman = [found.pop(f"Set5/{folder}") for folder in ("HR", "LR_bicubic_X4")]
    assert [[pair.training for pair in pairs] for pairs in woman] == [["bsds500_train_test__302003"]] * 2
    assert [pair.test for pairs in woman for pair in pairs] == ["woman", "womanx4"]
    assert not any(found.values())


def test_set5_and_set14_share_a_face() -> None:
    sets = [folder_photos(shared("testsets", name, "HR")) for name in ("Set5", "Set14")]
    (pair,) = compared(*sets)
    assert (pair.training, pair.test, pair.same_file) == ("head", "face", False)


def test_photos_that_show_nothing_are_the_same_only_as_files(tmp_path: Path) -> None:
    for name, level in (("black", 0), ("grey", 128)):
        (tmp_path / name).mkdir()
        samples = np.full((90, 120, 3), level, np.uint8)
        samples[40, 60] = 255
        Image.fromarray(samples).save(tmp_path / name / f"{name}.png")
    black, grey = (folder_photos(tmp_path / name) for name in ("black", "grey"))
    assert compared(black, grey) == []
    shutil.copy(tmp_path / "black" / "black.png", tmp_path / "grey" / "again.png")
    assert [pair.test for pair in compared(black, folder_photos(tmp_path / "grey"))] == ["again"]


def test_what_cannot_be_read_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    content = (EMBEDDED / "rocket.jpg").read_bytes()
    for name, data in (("cut", content[:20000]), ("text", b"no image"), ("whole", content)):
        (tmp_path / f"{name}.jpg").write_bytes(data)
    photos = folder_photos(tmp_path)
    signatures = sign(photos, 2, print)
    assert [photo.name for photo, known in zip(photos, signatures["readable"], strict=True) if known] == ["whole"]
    found, unreadable = find_shared(photos, signatures, photos, 2)
    assert found == [Shared("whole", "whole", 1.0, same_file=True)]
    assert unreadable == ["cut", "text"]


def looks() -> list[Thumbnail]:
    return [thumbnail(Image.open(EMBEDDED / name)) for name in ("chelsea.png", "coffee.png")]


def described(samples: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Cosine coefficients by scipy in float64, weighted by frequency, of length 1."""
    spectrum = dctn(samples.astype(np.float64), norm="ortho")[:count, :count]
    weighted = [spectrum[u, v] * np.hypot(u, v) for u in range(count) for v in range(count)]
    return np.array(weighted) / np.linalg.norm(weighted)


def orientations(samples: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.rot90(side, turns) for side in (samples, samples[:, ::-1]) for turns in range(4)]


def test_descriptions_are_weighted_cosine_coefficients_in_all_orientations() -> None:
    one = np.stack(looks())
    expected = np.stack([described(samples, 12) for samples in one])
    np.testing.assert_allclose(coarse(one), expected, atol=1e-5)
    turned = coarse_turned(one)
    assert turned.shape == (2, 8, 144)
    for samples, found in zip(one, turned, strict=True):
        wanted = [described(side, 12) for side in orientations(samples)]
        # Each orientation is there once, whatever their order.
        match = np.abs(np.array(wanted)[:, None] - found[None]).max(axis=2) < 1e-5
        assert match.sum(axis=0).tolist() == match.sum(axis=1).tolist() == [1] * 8


def test_likeness_is_the_best_correlation_over_cuts_and_orientations() -> None:
    cat, cup = looks()
    cuts = [(0, 0), *((n, 0) for n in (1, 2, 3)), *((0, n) for n in (1, 2, 3))]

    def best(cut: Thumbnail, whole: Thumbnail) -> float:
        views = [
            described(cut[top : 64 - bottom, left : 64 - right], 16)
            for (top, bottom), (left, right) in itertools.product(cuts, cuts)
        ]
        return max(float(view @ described(side, 16)) for view in views for side in orientations(whole))

    tilted = np.rot90(np.asarray(Image.fromarray(cat[:62, 3:]).resize((64, 64))))
    for one, other in ((cat, cup), (cat, tilted), (tilted, cat)):
        assert likeness(one, other) == pytest.approx(max(best(one, other), best(other, one)), abs=1e-5)
    assert likeness(cat, tilted) > 0.99
    assert likeness(cat, cup) < 0.5
