"""Images of any size, and the `upscale` command on a user's photo."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import TINY, Command
from tvqsr.contract import Codebook, Indices, Upscaler
from tvqsr.data.images import read_image
from tvqsr.plan import Plan
from tvqsr.train.weights import save_weights
from tvqsr.upscale.codes import CodeUse
from tvqsr.upscale.padding import padded, reflect_to_multiple


@pytest.mark.parametrize("size", [(8, 8), (5, 9), (1, 3), (17, 2)])
def test_reflection_is_numpys(size: tuple[int, int]) -> None:
    image = torch.randn(1, 2, *size)
    extra = [(-side) % 8 for side in size]
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), (0, extra[0]), (0, extra[1])), mode="reflect")
    assert np.array_equal(reflect_to_multiple(image, 8).numpy(), expected)


def test_padding_is_cut_off_again() -> None:
    image = torch.rand(1, 3, 10, 7)
    enlarge = torch.nn.Upsample(scale_factor=4)
    assert torch.equal(padded(enlarge, image, 8), enlarge(image))
    assert torch.equal(padded(lambda x: x, image, 8), image)


class Codes(Upscaler):
    """Code = position in the grid of 8 x 8 blocks; HR's own codes differ in one place."""

    multiple = 4
    codebooks = (Codebook(100),)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def codes(self, image: torch.Tensor) -> Indices:
        rows, columns = image.shape[-2] * 4 // 8, image.shape[-1] * 4 // 8
        return (torch.arange(rows * columns).view(1, rows, columns),)

    def codes_of_hr(self, hr: torch.Tensor) -> Indices:
        codes = (
            torch.arange(hr.shape[-2] // 8 * hr.shape[-1] // 8).view(1, hr.shape[-2] // 8, hr.shape[-1] // 8).clone()
        )
        codes[0, 0, 0] = 5
        return (codes,)


def test_code_use_counts_what_lies_inside_the_image() -> None:
    use = CodeUse(Codes.codebooks)
    accuracy = use.add(Codes(), torch.rand(1, 3, 5, 6), torch.rand(1, 3, 20, 24), 4)
    assert accuracy == pytest.approx(8 / 9)
    summary = use.summary()
    # 20 x 24 pixels are 3 x 3 positions of a padded grid of 4 x 4.
    assert [index for index, count in enumerate(summary["codebooks"][0]["counts"]) if count] == [
        0,
        1,
        2,
        4,
        5,
        6,
        8,
        9,
        10,
    ]
    assert summary["used"] == pytest.approx(0.09)
    assert summary["perplexity"] == pytest.approx(9.0)
    assert summary["accuracy"] == pytest.approx(8 / 9)


class Levels(Upscaler):
    """A coarse codebook of 4, always its first code, and a fine one of 8, each equally often."""

    multiple = 16
    codebooks = (Codebook(4, stride=16), Codebook(8, stride=8))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def codes(self, image: torch.Tensor) -> Indices:
        rows, columns = image.shape[-2] // 8, image.shape[-1] // 8
        fine = torch.arange(rows * columns).view(1, rows, columns) % 8
        return torch.zeros(1, rows // 2, columns // 2, dtype=torch.int64), fine

    def codes_of_hr(self, hr: torch.Tensor) -> Indices:
        coarse, fine = self.codes(hr)
        return coarse + 1, fine


def test_several_codebooks_are_counted_each_by_its_grid() -> None:
    use = CodeUse(Levels.codebooks)
    hr = torch.rand(1, 3, 32, 32)
    assert use.add(Levels(), hr, hr, 1) == pytest.approx(16 / 20)
    summary = use.summary()
    coarse, fine = summary["codebooks"]
    assert (coarse["used"], coarse["perplexity"]) == (1, 1.0)
    assert (fine["used"], fine["perplexity"]) == (8, pytest.approx(8.0))
    assert summary["used"] == pytest.approx(9 / 12)
    assert summary["perplexity"] == pytest.approx(8**0.5)
    # log2 8 at each position of the fine grid, and log2 4 at a fourth of them.
    assert summary["bits_per_position"] == pytest.approx(3.5)
    assert summary["accuracy"] == pytest.approx(16 / 20)


@pytest.fixture
def trained(tvqsr: Command, tiny_plan: Plan, results: Path) -> Path:
    """The tiny TVQ&RAP, trained for its few steps."""
    last = tiny_plan.entry("tvqrap").run
    assert last is not None
    assert tvqsr("prepare", results, "photos_train").returncode == 0
    for run in last.lineage():
        assert (result := tvqsr("train", results, run.name)).returncode == 0, result.stderr
    return results


def test_a_photo_of_any_size_from_a_moved_results_folder(
    trained: Path, tvqsr: Command, photo: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.move(trained, moved)
    for size in ((90, 70), (33, 5), (3, 2)):
        image = tmp_path / "odd.png"
        Image.open(photo).crop((0, 0, *size)).save(image)
        out = tmp_path / "out" / "large.png"
        result = tvqsr("upscale", "--entry", "tvqrap", "--run", moved, image, out)
        assert result.returncode == 0, result.stderr
        assert read_image(out).shape == (4 * size[1], 4 * size[0], 3)
        assert f"{4 * size[0]} x {4 * size[1]} by tvqrap" in result.stderr


def test_a_folder_of_photos_and_a_large_one_in_tiles(
    trained: Path, tvqsr: Command, photo: Path, tmp_path: Path
) -> None:
    """Seams are looked for where tiles meet: steps there are no larger than in the image upscaled in whole."""
    (tmp_path / "in" / "more").mkdir(parents=True)
    Image.open(photo).crop((0, 0, 300, 200)).save(tmp_path / "in" / "large.png")
    Image.open(photo).crop((0, 0, 20, 30)).save(tmp_path / "in" / "more" / "small.png")
    words = ("upscale", "--entry", "tvqrap", "--run", trained, tmp_path / "in")
    for tile, out in (("128", "tiled"), ("0", "whole")):
        assert (result := tvqsr(*words, tmp_path / out, "--tile", tile)).returncode == 0, result.stderr
        assert result.stderr.count(" by tvqrap in ") == 2
        assert "are the smallest of this network" not in result.stderr
    result = tvqsr(*words, tmp_path / "least", "--tile", "1")
    assert re.search(r"--tile 1: tiles of \d+ pixels are the smallest of this network, and are taken", result.stderr)
    assert sorted(file.name for file in (tmp_path / "tiled").iterdir()) == ["large.png", "more__small.png"]
    tiled, whole = (read_image(tmp_path / name / "large.png").astype(float) for name in ("tiled", "whole"))
    assert tiled.shape == whole.shape == (800, 1200, 3)
    assert not np.array_equal(tiled, whole)
    small = [read_image(tmp_path / name / "more__small.png") for name in ("tiled", "whole")]
    assert np.array_equal(small[0], small[1])
    ours, theirs = (np.abs(np.diff(pixels, axis=1)).mean(axis=(0, 2)) for pixels in (tiled, whole))
    assert ours.max() < 1.5 * theirs.max()


def test_outputs_never_overwrite_photos(trained: Path, tvqsr: Command, photo: Path, tmp_path: Path) -> None:
    Image.open(photo).crop((0, 0, 20, 20)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    for output, said in ((tmp_path, "is the photo itself"), (tmp_path / "b.png", "is a folder")):
        result = tvqsr("upscale", "--entry", "tvqrap", "--run", trained, tmp_path, output)
        assert result.returncode == 2
        assert said in result.stderr
    assert (tmp_path / "a.png").read_bytes() == before
    with pytest.raises(SystemExit, match="2"):
        tvqsr("upscale", "--entry", "tvqrap", "--run", trained, tmp_path, tmp_path / "out", "--tile", "-3")


def test_bad_input_to_upscale(trained: Path, tvqsr: Command, photo: Path, tmp_path: Path) -> None:
    def error(photo: Path, out: str = "out.png", entry: str = "tvqrap", run: Path = trained) -> str:
        result = tvqsr("upscale", "--entry", entry, "--run", run, photo, tmp_path / out)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / out).exists()
        return result.stderr

    assert "no such file" in error(tmp_path / "absent.png")
    assert "give a name that ends in .png" in error(photo, "out.jpg")
    result = tvqsr("upscale", "--entry", "tvqrap", "--run", trained, photo, photo)
    assert result.returncode == 2
    assert "is the photo itself" in result.stderr
    assert "unknown entry `tvqrapp`" in error(photo, entry="tvqrapp")
    assert "reconstructs HR and cannot upscale" in error(photo, entry="tvq_rec")
    assert "is no results folder" in error(photo, run=tmp_path)
    cut = tmp_path / "cut.png"
    cut.write_bytes(photo.read_bytes()[:3000])
    assert "damaged or truncated" in error(cut)
    run = Plan.load(str(TINY)).entry("tvqrap").run
    assert run is not None
    weights = trained / "runs" / run.name / "seed0" / "weights.safetensors"
    other = run.needs["predictor"]
    whole = weights.read_bytes()
    shutil.copy(trained / "runs" / run.needs["tokenizer"].name / "seed0" / "weights.safetensors", weights)
    assert "they belong to another configuration" in error(photo)
    weights.write_bytes(whole)
    # Same network, same shapes, but of another run: only the name inside the file tells.
    save_weights(weights, load_file(weights), "tvqrap.rap-000000000000")
    assert "are weights of tvqrap.rap-000000000000, not of" in error(photo)
    weights.write_bytes(whole[: len(whole) // 2])
    assert f"{weights}: damaged" in error(photo)
    weights.unlink()
    assert f"{weights}: missing" in error(photo)
    assert other.name != run.name
