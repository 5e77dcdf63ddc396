"""Training crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tvqsr.data.bicubic import downscale
from tvqsr.data.crops import CropSampler
from tvqsr.data.prepare import prepare
from tvqsr.errors import UserError
from tvqsr.plan.preset import DatasetSpec


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A training set of two photos, one of sides that are no multiples of 4."""
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in (("a", (90, 70)), ("b", (64, 131))):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(photos / f"{name}.png")
    prepare(DatasetSpec(folder=str(photos)), tmp_path / "store", True, print)
    return tmp_path / "store"


def test_a_batch_is_a_pure_function_of_seed_and_step(store: Path) -> None:
    one, other = (CropSampler(store, 32, 3, "dihedral", seed=5) for _ in range(2))
    other.batch(0)
    assert torch.equal(one.batch(7).hr, other.batch(7).hr)
    assert torch.equal(one.batch(7).lr, other.batch(7).lr)
    assert not torch.equal(one.batch(7).hr, one.batch(8).hr)
    assert not torch.equal(one.batch(7).hr, CropSampler(store, 32, 3, "dihedral", seed=6).batch(7).hr)


def test_lr_and_hr_show_the_same_place(store: Path) -> None:
    """Away from its border, LR of the HR crop is the LR crop, turned and flipped alike."""
    sampler = CropSampler(store, 48, 4, "dihedral", seed=0)
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


def test_without_augmentation_crops_are_cut_from_the_photo(store: Path) -> None:
    sampler = CropSampler(store, 64, 2, "none", seed=1)
    photos = [photo.hr for photo in sampler.photos]
    for hr in sampler.batch(0).hr:
        crop = (hr.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        places = [
            np.array_equal(photo[top : top + 64, left : left + 64], crop)
            for photo in photos
            for top in range(0, photo.shape[0] - 63, 4)
            for left in range(0, photo.shape[1] - 63, 4)
        ]
        assert any(places)


def test_a_photo_smaller_than_the_crop_is_named(store: Path) -> None:
    with pytest.raises(UserError, match=r"photo `a` is 68 x 88, smaller than the 72-pixel crop"):
        CropSampler(store, 72, 1, "none", seed=0)


def test_a_store_of_the_wrong_length_is_refused(store: Path) -> None:
    (store / "hr.u8").write_bytes(b"123")
    with pytest.raises(UserError, match=r"hr\.u8: missing or not \d+ bytes long"):
        CropSampler(store, 32, 1, "none", seed=0)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no image"):
        prepare(DatasetSpec(folder=str(tmp_path / "empty")), tmp_path / "out", True, print)
    assert not (tmp_path / "out" / "manifest.json").exists()
