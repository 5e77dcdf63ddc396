"""Scores against independent implementations, and the `score` command."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d

from tests.conftest import Command, shared
from tests.scoring import real_pairs, score_of
from tvqsr.data.images import Pixels, read_image, write_png
from tvqsr.plan.protocols import WEIGHTS, unavailable
from tvqsr.score.colours import luma
from tvqsr.score.picture import Picture, cropped
from tvqsr.score.protocols import PROTOCOLS
from tvqsr.statistics import mean_interval


def to_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].double() / 255


def ssim_by_definition(x: NDArray[np.float64], y: NDArray[np.float64], least_structure: float = -1.0) -> float:
    """Wang et al. 2004, equation 13, one channel, by plain convolution; structure terms cut off below."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(convolve2d(values, window, mode="valid"))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    structure = np.maximum((2 * vxy + c2) / (vx + vy + c2), least_structure)
    return float(((2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure).mean())


def test_ssim_is_its_definition() -> None:
    for sr, hr in real_pairs():
        assert score_of("ssim_y", sr, hr) == pytest.approx(ssim_by_definition(luma(sr), luma(hr)), abs=1e-6)
        channels = [ssim_by_definition(sr[..., c].astype(np.float64), hr[..., c].astype(np.float64)) for c in range(3)]
        assert score_of("ssim_rgb", sr, hr) == pytest.approx(np.mean(channels), abs=1e-6)


def test_against_pyiqa() -> None:
    """Pyiqa clips negative structure terms to zero and rounds luma in `ssim`: hence that tolerance."""
    from pyiqa.archs.psnr_arch import psnr
    from pyiqa.archs.ssim_arch import SSIM

    ssim_on_y = SSIM(channels=3, test_y_channel=True, color_space="ycbcr", crop_border=4)
    for sr, hr in real_pairs():
        x, y = to_tensor(sr), to_tensor(hr)
        inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
        a, b = cropped(sr, 4), cropped(hr, 4)
        expected = psnr(x[inner], y[inner], test_y_channel=True, color_space="ycbcr")
        assert score_of("psnr_y", a, b) == pytest.approx(float(expected), abs=1e-4)
        assert score_of("psnr_rgb", a, b) == pytest.approx(float(psnr(x[inner], y[inner])), abs=1e-4)
        assert score_of("ssim_y", a, b) == pytest.approx(float(ssim_on_y(x, y)), abs=3e-3)


def test_luma_is_studio_range() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert luma(colours).tolist() == [pytest.approx([16.0, 235.0, 81.481])]


def test_extremes() -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert score_of("psnr_rgb", black, black) == pytest.approx(80.0)
    assert score_of("psnr_y", white, white) == pytest.approx(80.0)
    assert score_of("lr_psnr", white, white) == pytest.approx(80.0)
    assert score_of("psnr_rgb", black, white) == pytest.approx(0.0, abs=1e-6)
    assert score_of("ssim_y", white, white) == pytest.approx(1.0)
    assert score_of("ssim_rgb", black, white) == pytest.approx(0.0, abs=1e-3)


def test_lpips_is_the_official_value(monkeypatch: pytest.MonkeyPatch) -> None:
    home = shared("weights", "torch_home")
    folder = shared("calibration", "iqa")
    monkeypatch.setenv("TORCH_HOME", str(home))
    protocol = PROTOCOLS["lpips_alex"]
    assert unavailable("lpips_alex", downloads=False) is None
    assert protocol.of_pair is not None
    with (folder / "official_values.csv").open() as file:
        rows = {row[0]: [float(value) for value in row[1:]] for row in csv.reader(file) if row[0] == "lpips"}
    pairs = real_pairs()[:5]
    assert [protocol.of_pair(Picture(sr), Picture(hr), "cpu") for sr, hr in pairs] == pytest.approx(
        rows["lpips"], abs=1e-3
    )


def test_planned_and_computed_protocols_are_the_same() -> None:
    assert list(PROTOCOLS) == list(WEIGHTS)
    for name, protocol in PROTOCOLS.items():
        assert (protocol.load is not None) == bool(WEIGHTS[name])
        assert [protocol.of_pair, protocol.of_image, protocol.of_set].count(None) == 2


def test_bootstrap_interval_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        mean, interval = mean_interval(random.normal(3.0, 1.0, 60).tolist())
        assert interval is not None
        assert interval[0] < mean < interval[1]
        covered += interval[0] <= 3.0 <= interval[1]
    assert 88 <= covered <= 99
    assert mean_interval([1.0, 2.0, 4.0]) == mean_interval([1.0, 2.0, 4.0])
    assert mean_interval([5.0]) == (5.0, None)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        hr = random.integers(0, 256, (40, 52, 3), dtype=np.uint8)
        noisy = np.clip(hr.astype(np.int16) + random.integers(-9, 10, hr.shape), 0, 255).astype(np.uint8)
        write_png(tmp_path / "hr" / f"{name}.png", hr)
        write_png(tmp_path / "sr" / f"{name}.png", noisy)
    return tmp_path / "sr", tmp_path / "hr"


def test_the_score_command(tvqsr: Command, folders: tuple[Path, Path], tmp_path: Path) -> None:
    sr, hr = folders
    words = (
        "score",
        "--sr",
        sr,
        "--hr",
        hr,
        "--protocol",
        "psnr_y",
        "--protocol",
        "ssim_y",
        "--protocol",
        "lpips_alex",
        "--crop",
        "4",
    )
    out = tmp_path / "out.json"
    result = tvqsr(*words, "--json", out, TORCH_HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    scores = json.loads(out.read_text())
    assert json.loads(result.stdout) == scores
    for name in ("a", "b", "c"):
        a, b = (cropped(read_image(folder / f"{name}.png"), 4) for folder in (sr, hr))
        assert scores["images"][name]["psnr_y"] == pytest.approx(score_of("psnr_y", a, b))
    summary = scores["protocols"]["psnr_y"]
    assert summary["n"] == 3
    assert summary["mean"] == pytest.approx(np.mean([image["psnr_y"] for image in scores["images"].values()]))
    assert summary["ci95"][0] <= summary["mean"] <= summary["ci95"][1]
    assert scores["protocols"]["lpips_alex"]["mean"] is None
    assert "weights absent" in scores["protocols"]["lpips_alex"]["reason"]


def test_the_crop_is_not_for_protocols_that_see_the_whole_image(tvqsr: Command, folders: tuple[Path, Path]) -> None:
    sr, hr = folders
    values = []
    for crop in (0, 8):
        result = tvqsr(
            "score", "--sr", sr, "--hr", hr, "--protocol", "lr_psnr", "--protocol", "psnr_rgb", "--crop", crop
        )
        values.append(json.loads(result.stdout)["protocols"])
    assert values[0]["lr_psnr"] == values[1]["lr_psnr"]
    assert values[0]["psnr_rgb"] != values[1]["psnr_rgb"]


def test_an_image_too_small_for_a_protocol_is_na_and_all_else_is_scored(
    tvqsr: Command, folders: tuple[Path, Path]
) -> None:
    """MS-SSIM needs 161 pixels a side, SSIM 11 after the crop."""
    large = np.random.default_rng(0).integers(0, 256, (161, 170, 3), dtype=np.uint8)
    for folder in folders:
        write_png(folder / "d.png", large)
    names = ("psnr_y", "ssim_y", "ms_ssim")
    words = [word for name in names for word in ("--protocol", name)]
    result = tvqsr("score", "--sr", folders[0], "--hr", folders[1], "--crop", 15, *words)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["images"]["a"]["psnr_y"] is not None
    assert told["images"]["a"]["ssim_y"] is told["images"]["a"]["ms_ssim"] is None
    assert told["images"]["d"] == {"psnr_y": 80, "ssim_y": pytest.approx(1), "ms_ssim": pytest.approx(1)}
    assert told["protocols"]["ssim_y"]["n"] == told["protocols"]["ms_ssim"]["n"] == 1
    too_small = "too small: 161 pixels a side are needed"
    assert told["protocols"]["ms_ssim"]["lacking"] == dict.fromkeys(told["images"].keys() - {"d"}, too_small)
    assert told["protocols"]["psnr_y"]["lacking"] == {}
    for folder in folders:
        (folder / "d.png").unlink()
    told = json.loads(tvqsr("score", "--sr", folders[0], "--hr", folders[1], "--crop", 15, *words).stdout)["protocols"]
    assert told["ssim_y"]["reason"] == "too small: 11 pixels a side are needed after a crop of 15"
    assert told["ms_ssim"]["reason"] == "too small: 161 pixels a side are needed"
    whole = json.loads(tvqsr("score", "--sr", folders[0], "--hr", folders[1], "--crop", 20, *words).stdout)["protocols"]
    assert whole["psnr_y"]["reason"] == "too small: 1 pixels a side are needed after a crop of 20"


def test_bad_folders_are_one_line_and_exit_code_2(tvqsr: Command, folders: tuple[Path, Path], tmp_path: Path) -> None:
    sr, hr = folders

    def error(*changed: object) -> str:
        out = tmp_path / "never.json"
        words = ["score", "--sr", sr, "--hr", hr, "--protocol", "psnr_y", "--json", out, *changed]
        result = tvqsr(*words)
        assert result.returncode == 2
        assert not out.exists()
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
        return result.stderr

    assert "unknown protocol `psnry`; did you mean `psnr_y`?" in error("--protocol", "psnry")
    assert "no such folder" in error("--sr", tmp_path / "absent")
    assert "expected 0 or more" in error("--crop", "-1")
    blocked = tmp_path / "a_folder.json"
    blocked.mkdir()
    assert "a_folder.json" in error("--json", blocked)
    (tmp_path / "empty").mkdir()
    assert "holds no image" in error("--sr", tmp_path / "empty")
    extra = sr / "d.png"
    write_png(extra, np.zeros((40, 52, 3), np.uint8))
    assert f"{extra}: has no partner" in error()
    extra.rename(hr / "d.png")
    assert f"{hr / 'd.png'}: has no partner" in error()
    write_png(extra, np.zeros((40, 51, 3), np.uint8))
    (hr / "d.png").unlink()
    write_png(hr / "d.png", np.zeros((40, 52, 3), np.uint8))
    assert f"{extra}: is 51 x 40, but {hr / 'd.png'} is 52 x 40" in error()
    extra.write_bytes((sr / "a.png").read_bytes()[:900])
    assert f"{extra}: damaged or truncated" in error()


def test_help_and_plans_import_nothing_heavy(tvqsr_alone: Command, results: Path, tmp_path: Path) -> None:
    """With a torch that refuses to be imported, all that only plans still works."""
    poison = tmp_path / "poison"
    for name in ("torch", "pandas", "skimage", "matplotlib"):
        (poison / name).mkdir(parents=True)
        (poison / name / "__init__.py").write_text(f"raise SystemExit('{name} was imported')")
    path = os.pathsep.join([str(poison), str(Path(__file__).resolve().parent.parent)])
    for words in (("--help",), ("upscale", "--help"), ("plan", "--preset", "paper")):
        result = tvqsr_alone(*words, PYTHONPATH=path)
        assert result.returncode == 0, result.stderr
    assert "imported" in tvqsr_alone("figure", results, "strip.main", PYTHONPATH=path).stderr
