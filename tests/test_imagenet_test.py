"""ResShift's ImageNet-Test made anew: which photos, and how they are cut."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvqsr.data.imagenet_test import central_square, choose, write_imagenet_test
from tvqsr.data.images import read_image
from tvqsr.data.sources import obtain
from tvqsr.errors import UserError
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec

NAMES = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 50001)]


def test_the_choice_is_that_of_the_released_script() -> None:
    """Step by step as the script does it, with the module's own generator: shuffle one list, sample the other."""
    state = random.getstate()
    try:
        random.seed(10000)
        listed = sorted(NAMES)
        random.shuffle(listed)
        expected = random.sample(sorted(NAMES), 3000)
    finally:
        random.setstate(state)
    assert choose(NAMES[::-1], 3000) == expected
    assert len(set(expected)) == 3000
    assert expected != listed[:3000]


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (257, 300), (256, 256), (120, 200), (3000, 1000)])
def test_the_square_is_opencvs_bilinear_cut_in_the_middle(size: tuple[int, int]) -> None:
    """Against half-pixel bilinear sampling written out in float64, and albumentations' sizes and corners."""
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    scale = 256 / min(height, width)
    rows, columns = (_sampled(length, round(length * scale)) for length in (height, width))
    resized = np.einsum("oi,ijc,pj->opc", rows, pixels / 255.0, columns, optimize=True)
    top, left = (resized.shape[0] - 256) // 2, (resized.shape[1] - 256) // 2
    expected = resized[top : top + 256, left : left + 256] * 255
    found = central_square(pixels)
    assert found.shape == (256, 256, 3)
    assert np.abs(found - expected).max() <= 0.51, "half a level of rounding, and torch's coordinates in float32"


def _sampled(length: int, out: int) -> np.ndarray:
    """(out, length): the two samples around each output sample's centre, by their distance."""
    weights = np.zeros((out, length))
    for place in range(out):
        centre = (place + 0.5) * length / out - 0.5
        first = int(np.floor(centre))
        share = centre - first
        weights[place, min(max(first, 0), length - 1)] += 1 - share
        weights[place, min(max(first + 1, 0), length - 1)] += share
    return weights


def test_chosen_photos_keep_their_names(tmp_path: Path) -> None:
    files = []
    for number in range(5):
        files.append(tmp_path / f"ILSVRC2012_val_{number}.JPEG")
        Image.fromarray(np.full((300, 400, 3), number * 40, np.uint8)).save(files[-1], format="JPEG")
    write_imagenet_test(files, 3, tmp_path / "out", print)
    chosen = choose([file.name for file in files], 3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{Path(name).stem}.png" for name in chosen
    )
    for name in chosen:
        level = int(Path(name).stem[-1]) * 40
        assert np.abs(read_image(tmp_path / "out" / f"{Path(name).stem}.png").astype(int) - level).max() <= 2


def test_an_incomplete_validation_set_is_refused(tmp_path: Path) -> None:
    """Another number of photos would be another choice, silently."""
    folder = tmp_path / "imagenet_val" / "HR"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((300, 300, 3), np.uint8)).save(folder / "a.png")
    with pytest.raises(UserError, match=r"1 photos found, 50000 expected; the selection .* complete the set first"):
        obtain(DatasetSpec(source="imagenet_test_anew"), Places(str(tmp_path)), lambda _: None)
    assert not (tmp_path / "imagenet_test_anew").exists()
