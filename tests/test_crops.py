"""Training crops."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from tests.crops import training
from tvqsr.data.area import area_resize
from tvqsr.data.bicubic import downscale
from tvqsr.data.crops import CropSampler
from tvqsr.data.degrade import BSRGAN, degrade
from tvqsr.data.feed import batches
from tvqsr.data.images import read_image
from tvqsr.data.prepare import prepare
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.training import LastPhase


def test_a_batch_is_a_pure_function_of_seed_and_step(crop_store: Path) -> None:
    one, other = (CropSampler(crop_store, training(32, 3, "dihedral"), seed=5) for _ in range(2))
    other.batch(0)
    assert torch.equal(one.batch(7).hr, other.batch(7).hr)
    assert torch.equal(one.batch(7).lr, other.batch(7).lr)
    assert not torch.equal(one.batch(7).hr, one.batch(8).hr)
    assert not torch.equal(one.batch(7).hr, CropSampler(crop_store, training(32, 3, "dihedral"), seed=6).batch(7).hr)


def test_lr_and_hr_show_the_same_place(crop_store: Path) -> None:
    """Away from its border, LR of the HR crop is the LR crop, turned and flipped alike."""
    sampler = CropSampler(crop_store, training(48, 4, "dihedral"), seed=0)
    for step in range(5):
        batch = sampler.batch(step)
        assert batch.hr.shape == (4, 3, 48, 48)
        assert batch.lr.shape == (4, 3, 12, 12)
        for hr, lr in zip(batch.hr, batch.lr, strict=True):
            pixels = (hr.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            expected = downscale(pixels, 4)[3:-3, 3:-3].astype(np.int16)
            found = (lr.permute(1, 2, 0).numpy() * 255).round().astype(np.int16)[3:-3, 3:-3]
            # The two passes round in the order rows, columns: a quarter turn swaps them, which moves a sample by 1.
            assert np.abs(expected - found).max() <= 1


def test_without_augmentation_crops_are_cut_from_the_photo(crop_store: Path) -> None:
    sampler = CropSampler(crop_store, training(64, 2, "none"), seed=1)
    photos = [photo.hr() for photo in sampler.photos]
    for hr in sampler.batch(0).hr:
        crop = (hr.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        places = [
            np.array_equal(photo[top : top + 64, left : left + 64], crop)
            for photo in photos
            for top in range(0, photo.shape[0] - 63, 4)
            for left in range(0, photo.shape[1] - 63, 4)
        ]
        assert any(places)


def test_a_photo_smaller_than_the_crop_is_named(crop_store: Path) -> None:
    with pytest.raises(UserError, match=r"photo `a` is 68 x 88, smaller than the 72-pixel crop"):
        CropSampler(crop_store, training(72, 1, "none"), seed=0)


def test_a_store_of_the_wrong_length_is_refused(crop_store: Path) -> None:
    (crop_store / "hr.u8").write_bytes(b"123")
    with pytest.raises(UserError, match=r"hr\.u8: missing or not \d+ bytes long"):
        CropSampler(crop_store, training(32, 1, "none"), seed=0)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no image"):
        prepare(DatasetSpec(folder=str(tmp_path / "empty")), tmp_path / "out", True, print)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_last_phase_has_its_own_batch_and_crop(crop_store: Path) -> None:
    phase = LastPhase(iterations=3, batch_size=1, hr_crop=48)
    schedule = training(32, 2, last_phase=phase)
    sampler = CropSampler(crop_store, schedule, seed=0)
    assert (schedule.steps, schedule.images) == (13, 23)
    assert sampler.batch(9).hr.shape == (2, 3, 32, 32)
    assert sampler.batch(10).hr.shape == (1, 3, 48, 48)
    assert sampler.batch(10).lr.shape == (1, 3, 12, 12)


def test_a_stage_that_trains_on_hr_mirrors_photos_smaller_than_the_crop(crop_store: Path) -> None:
    sampler = CropSampler(crop_store, training(128, 8), seed=0, with_lr=False)
    batch = sampler.batch(0)
    assert batch.hr.shape == (8, 3, 128, 128)
    assert batch.lr.numel() == 0
    photo = next(photo for photo in sampler.photos if photo.name == "a").hr()
    mirrored = np.pad(photo, ((0, 128 - photo.shape[0]), (0, 128 - photo.shape[1]), (0, 0)), mode="reflect")
    crops = [(hr.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for hr in batch.hr]
    assert any(np.array_equal(crop, mirrored) for crop in crops)


def exact_area(samples: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Means over areas, by repeating each sample until the areas are whole."""
    length = samples.shape[0]
    fine = samples.repeat(side, axis=0).repeat(side, axis=1)
    return fine.reshape(side, length, side, length, -1).mean(axis=(1, 3))


@pytest.mark.parametrize(("length", "side"), [(64, 32), (50, 32), (33, 32), (47, 5)])
def test_area_resize_is_the_mean_over_areas(length: int, side: int) -> None:
    samples = np.random.default_rng(0).random((length, length, 3))
    np.testing.assert_allclose(area_resize(samples, side), exact_area(samples, side), atol=1e-5)


def test_resized_crops_are_the_short_sides_square_shrunk(crop_store: Path) -> None:
    schedule = training(32, 6, crop="resized", degradation="realesrgan")
    sampler = CropSampler(crop_store, schedule, seed=0)
    squares = {}
    for photo in sampler.photos:
        hr = photo.hr().astype(np.float64) / 255
        short = min(hr.shape[:2])
        places = [
            hr[t : t + short, left : left + short]
            for t in range(hr.shape[0] - short + 1)
            for left in range(hr.shape[1] - short + 1)
        ]
        squares[photo.name] = [exact_area(place, 32) for place in places]
    for hr in sampler.batch(0).hr:
        crop = hr.permute(1, 2, 0).numpy()
        assert any(np.abs(crop - square).max() < 1e-5 for of_photo in squares.values() for square in of_photo)


def rescaling(tmp_path: Path, size: tuple[int, int], side: int = 16, batch: int = 40) -> CropSampler:
    """Sampler of rescaled crops of one photo of random pixels."""
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    prepare(DatasetSpec(folder=str(tmp_path / "photos"), store="files"), tmp_path / "files", True, print)
    return CropSampler(tmp_path / "files", training(side, batch, crop="rescaled", degradation="bsrgan"), seed=3)


def sides_of(sampler: CropSampler, square: int, side: int = 16) -> list[int]:
    """The side to which OpenCV resizes some square of the photo for each crop of a batch to be in it; 0 without any."""
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV, which pyiqa installs")
    photo = sampler.photos[0].hr().astype(np.float32) / 255
    found: dict[int, int] = {}
    crops = sampler.batch(0).hr.permute(0, 2, 3, 1).numpy()
    tops, lefts = (range(length - square + 1) for length in photo.shape[:2])
    for top, left, whole in itertools.product(tops, lefts, range(side, square + 1)):
        cut = np.ascontiguousarray(photo[top : top + square, left : left + square])
        resized = np.clip(cv2.resize(cut, (whole, whole), interpolation=cv2.INTER_CUBIC), 0, 1)
        corners = np.lib.stride_tricks.sliding_window_view(resized, (side, side, 3))[:, :, 0, ::5, ::5]
        for number, crop in enumerate(crops):
            for row, column in np.argwhere(np.abs(corners - crop[::5, ::5]).max(axis=(2, 3, 4)) < 1e-4):
                if np.abs(resized[row : row + side, column : column + side] - crop).max() < 1e-4:
                    found[number] = whole
    return [found.get(number, 0) for number in range(len(crops))]


def test_rescaled_crops_are_cut_from_squares_of_twice_their_side_resized_at_random(tmp_path: Path) -> None:
    sides = sides_of(rescaling(tmp_path, (34, 36)), square=32)
    assert min(sides) >= 16
    assert len(set(sides)) > 10
    assert {side < 20 for side in sides} == {side > 28 for side in sides} == {True, False}


@pytest.mark.parametrize(("size", "square"), [((24, 30), 24), ((16, 18), 16)])
def test_rescaled_crops_take_the_square_that_there_is(tmp_path: Path, size: tuple[int, int], square: int) -> None:
    sides = sides_of(rescaling(tmp_path, size), square)
    assert set(sides) <= set(range(16, square + 1))
    assert max(sides) == square


def test_rescaled_crops_of_small_photos_are_mirrored(tmp_path: Path) -> None:
    sampler = rescaling(tmp_path, (12, 14), batch=3)
    whole = np.pad(sampler.photos[0].hr(), ((0, 4), (0, 2), (0, 0)), mode="reflect").astype(np.float32) / 255
    assert all(np.array_equal(hr.permute(1, 2, 0).numpy(), whole) for hr in sampler.batch(0).hr)


def test_rescaled_crops_go_on_as_they_would_have(tmp_path: Path) -> None:
    one = rescaling(tmp_path, (34, 36))
    other = CropSampler(tmp_path / "files", one.training, seed=3)
    other.batch(0)
    assert torch.equal(one.batch(7).hr, other.batch(7).hr)
    assert not torch.equal(one.batch(7).hr, one.batch(8).hr)
    fed = list(batches(one, 8, torch.device("cpu"), 2))
    assert torch.equal(fed[1].hr, one.batch(9).hr)
    seeds = [[3, 9, position, 1] for position in range(40)]
    assert torch.equal(fed[1].lr, degrade(one.batch(9).hr, BSRGAN, seeds))


def test_rescaled_crops_need_lr_made_in_training() -> None:
    with pytest.raises(ValidationError, match="crop: `rescaled` needs a degradation made in training"):
        training(32, 1, crop="rescaled")


def test_photos_decoded_in_training_give_the_crops_of_the_store(crop_store: Path, tmp_path: Path) -> None:
    prepare(DatasetSpec(folder=str(tmp_path / "photos"), store="files"), tmp_path / "files", True, print)
    assert not (tmp_path / "files" / "hr.u8").exists()
    of_files = CropSampler(tmp_path / "files", training(64, 4, "flip"), seed=3, with_lr=False)
    for crop in of_files.batch(2).hr:
        pixels = (crop.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        photos = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((tmp_path / "photos").iterdir())]
        wide = [np.pad(p, ((0, max(0, 64 - p.shape[0])), (0, 0), (0, 0)), mode="reflect") for p in photos]
        views = [view for p in wide for view in (p, p[:, ::-1])]
        windows = [np.lib.stride_tricks.sliding_window_view(view, (64, 64, 3)).reshape(-1, 64, 64, 3) for view in views]
        assert any((window == pixels).all(axis=(1, 2, 3)).any() for window in windows)
    with pytest.raises(UserError, match="has no prepared LR"):
        CropSampler(tmp_path / "files", training(32, 1), seed=0)


def test_what_cannot_be_decoded_plainly_is_left_out_of_a_set_of_files(tmp_path: Path) -> None:
    photos = tmp_path / "photos" / "n01440764"
    photos.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(photos / "good.JPEG", format="JPEG")
    Image.new("CMYK", (64, 64)).save(photos / "cmyk.JPEG", format="JPEG")
    (photos / "torn.JPEG").write_bytes(b"no image")
    said: list[str] = []
    prepare(DatasetSpec(folder=str(tmp_path / "photos"), store="files"), tmp_path / "files", True, said.append)
    manifest = read_json(tmp_path / "files" / "manifest.json")
    assert [image["name"] for image in manifest["images"]] == ["n01440764__good"]
    assert {photo["name"] for photo in manifest["left_out"]} == {"n01440764__cmyk", "n01440764__torn"}
    assert any("2 photos left out" in line for line in said)


def test_a_photo_damaged_behind_its_header_is_left_out_of_the_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("good", "torn"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
            folder / f"{name}.png"
        )
    torn = folder / "torn.png"
    torn.write_bytes(torn.read_bytes()[:2000])
    Image.new("RGBA", (64, 64), (1, 2, 3, 128)).save(folder / "glass.png")
    prepare(DatasetSpec(folder=str(folder), store="files"), tmp_path / "files", True, print)
    assert [photo["name"] for photo in read_json(tmp_path / "files" / "manifest.json")["left_out"]] == ["glass"]
    sampler = CropSampler(tmp_path / "files", training(64, 8), seed=0, with_lr=False)
    good = (read_image(folder / "good.png") / np.float32(255)).transpose(2, 0, 1)
    batch = sampler.batch(0).hr
    assert all(np.array_equal(hr.numpy(), good) or np.array_equal(hr.numpy(), good[:, :, ::-1]) for hr in batch)
    assert torch.equal(sampler.batch(0).hr, batch)
    assert capsys.readouterr().err.count("left out of every batch: ") == 1


def test_a_photo_that_vanished_or_changed_since_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("one", "two"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
            folder / f"{name}.png"
        )
    prepare(DatasetSpec(folder=str(folder), store="files"), tmp_path / "files", True, print)
    sampler = CropSampler(tmp_path / "files", training(64, 8), seed=0, with_lr=False)
    (folder / "one.png").rename(folder / "elsewhere")
    with pytest.raises(UserError, match=r"one\.png: a photo to train on cannot be read any more \(No such file"):
        sampler.batch(0)
    (folder / "one.png").write_bytes((folder / "elsewhere").read_bytes()[:2000])
    with pytest.raises(UserError, match=r"one\.png: a photo to train on has 2000 bytes and had \d{5} when"):
        sampler.batch(0)


def test_where_all_photos_are_damaged_the_training_stops(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / "torn.png")
    (folder / "torn.png").write_bytes((folder / "torn.png").read_bytes()[:2000])
    prepare(DatasetSpec(folder=str(folder), store="files"), tmp_path / "files", True, print)
    sampler = CropSampler(tmp_path / "files", training(64, 8), seed=0, with_lr=False)
    sampler.left_out = tmp_path / "state" / "left_out.txt"
    with pytest.raises(UserError, match="drawn one after the other cannot be read"):
        sampler.batch(0)
    assert sampler.left_out.read_text() == "torn\n"
