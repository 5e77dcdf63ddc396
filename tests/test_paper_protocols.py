"""The paper's protocols against pyiqa as the authors call it, official values, and definitions by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from tests.conftest import Command, shared
from tests.scoring import official, real_pairs, score_of
from tests.test_score import ssim_by_definition
from tvqsr.data.images import Pixels, read_image, write_png
from tvqsr.plan.protocols import absent
from tvqsr.score.colours import luma
from tvqsr.score.learned import PyiqaMetric
from tvqsr.score.pairs import score_pairs
from tvqsr.score.photos import NO_HR, UNDEFINED, Conditions, PairFiles
from tvqsr.score.picture import Picture
from tvqsr.score.protocols import PROTOCOLS, protocols

Scores = dict[str, list[float]]


@pytest.fixture
def files(photo: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(SR, HR): a photo and the same with noise, 110 x 130."""
    hr = np.asarray(Image.open(photo).resize((130, 110), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).integers(-30, 31, hr.shape)
    write_png(tmp_path / "HR" / "cat.png", hr)
    write_png(tmp_path / "SR" / "cat.png", np.clip(hr.astype(np.int16) + noise, 0, 255).astype(np.uint8))
    return tmp_path / "SR" / "cat.png", tmp_path / "HR" / "cat.png"


@pytest.fixture
def niqe_parameters(torch_home: Path) -> Path:
    """Parameters of the true shape, though of no photos: NIQE's own are not here."""
    path = torch_home / "hub" / "pyiqa" / "niqe_modelparameters.mat"
    random = np.random.default_rng(0)
    savemat(path, {"mu_prisparam": random.normal(size=(1, 36)), "cov_prisparam": np.eye(36)})
    return path


def pixels(files: tuple[Path, Path]) -> tuple[Pixels, Pixels]:
    return read_image(files[0]), read_image(files[1])


def test_psnr_and_ssim_are_what_the_authors_scripts_print(files: tuple[Path, Path]) -> None:
    import pyiqa

    for name in ("psnr", "ssim"):
        metric = pyiqa.create_metric(name, device="cpu", test_y_channel=True, color_space="ycbcr")
        expected = float(metric(*map(str, files)))
        assert score_of(f"{name}_y_pyiqa", *pixels(files)) == pytest.approx(expected, abs=1e-5)


def test_our_psnr_y_without_crop_is_the_papers(files: tuple[Path, Path]) -> None:
    sr, hr = pixels(files)
    assert score_of("psnr_y_pyiqa", sr, hr) == pytest.approx(score_of("psnr_y", sr, hr), abs=1e-4)
    assert score_of("psnr_y_pyiqa", hr, hr) == pytest.approx(80.0, abs=1e-4)
    default = PyiqaMetric("psnr", (("test_y_channel", True),)).of_pair(Picture(sr), Picture(hr), "cpu")
    assert score_of("psnr_y", sr, hr) - default == pytest.approx(20 * np.log10(255 / 219), abs=0.02)


def test_the_papers_ssim_rounds_luma_and_cuts_negative_structure_off(files: tuple[Path, Path]) -> None:
    for sr, hr in [pixels(files), (read_image(files[0]), 255 - read_image(files[0]))]:
        expected = ssim_by_definition(np.round(luma(sr)), np.round(luma(hr)), least_structure=0.0)
        assert score_of("ssim_y_pyiqa", sr, hr) == pytest.approx(expected, abs=1e-4)


def test_luma_of_yiq_is_full_range(files: tuple[Path, Path]) -> None:
    """ITU-R BT.601's weights of RGB without the studio swing; what is told apart from YCbCr is 20 log10(255 / 219)."""
    sr, hr = pixels(files)
    of_sr, of_hr = (image @ np.array([0.299, 0.587, 0.114]) for image in (sr, hr))
    expected = 10 * np.log10(255**2 / np.mean((of_sr - of_hr) ** 2))
    assert score_of("psnr_yiq", sr, hr) == pytest.approx(expected, abs=0.01)
    assert score_of("psnr_y", sr, hr) - score_of("psnr_yiq", sr, hr) == pytest.approx(
        20 * np.log10(255 / 219), abs=0.01
    )
    by_definition = ssim_by_definition(np.round(of_sr), np.round(of_hr), least_structure=0.0)
    assert score_of("ssim_yiq", sr, hr) == pytest.approx(by_definition, abs=2e-3)
    assert all(PROTOCOLS[name].crops for name in ("psnr_yiq", "ssim_yiq"))


@pytest.mark.parametrize(("metric", "tolerance"), [("psnr", 0.01), ("ssim", 1e-3)])
def test_pyiqa_reads_our_pixels_as_the_official_code_reads_its_images(metric: str, tolerance: float) -> None:
    """Values of pyiqa's defaults, RGB for PSNR and YIQ for SSIM: the paper's differ from them by options alone."""
    values = [PyiqaMetric(metric).of_pair(Picture(sr), Picture(hr), "cpu") for sr, hr in real_pairs()[:5]]
    assert values == pytest.approx(official(metric), abs=tolerance)


@pytest.mark.parametrize(("name", "metric"), [("dists", "dists"), ("niqe", "niqe"), ("musiq", "musiq")])
def test_official_values_of_what_needs_weights(name: str, metric: str) -> None:
    """Within 1%, as the calibration of pyiqa itself."""
    if missing := absent(name):
        pytest.skip(f"needs {', '.join(map(str, missing))}")
    pairs = real_pairs()[:5]
    assert [score_of(name, sr, hr) for sr, hr in pairs] == pytest.approx(official(metric), rel=1e-2)


def test_our_lpips_is_the_papers(monkeypatch: pytest.MonkeyPatch, torch_home: Path) -> None:
    from pyiqa.utils import download_util

    home = shared("weights", "torch_home")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(home / "hub" / "pyiqa"))
    for (sr, hr), value in zip(real_pairs()[:5], official("lpips"), strict=True):
        expected = PyiqaMetric("lpips").of_pair(Picture(sr), Picture(hr), "cpu")
        assert score_of("lpips_alex", sr, hr) == pytest.approx(expected, abs=1e-5)
        assert expected == pytest.approx(value, abs=1e-3)


def test_niqe_sees_the_image_alone_and_as_pyiqa_reads_it(files: tuple[Path, Path], niqe_parameters: Path) -> None:
    import pyiqa

    expected = pyiqa.create_metric("niqe", device="cpu", pretrained_model_path=str(niqe_parameters))(str(files[0]))
    sr = read_image(files[0])
    assert score_of("niqe", sr, sr) == pytest.approx(float(expected), rel=1e-9)
    assert score_of("niqe", read_image(files[1]), sr) != pytest.approx(float(expected), rel=1e-3)


def test_musiq_is_read_from_its_place_and_sees_what_pyiqa_sees(files: tuple[Path, Path], torch_home: Path) -> None:
    from pyiqa.archs.musiq_arch import MUSIQ
    from pyiqa.utils.img_util import imread2tensor

    torch.manual_seed(0)
    untrained = MUSIQ(pretrained=False).eval()
    torch.save(untrained.state_dict(), torch_home / "hub" / "pyiqa" / "musiq_koniq_ckpt-e95806b9.pth")
    with torch.no_grad():
        expected = float(untrained(imread2tensor(str(files[0]), rgb=True).unsqueeze(0)))
    assert score_of("musiq", *pixels(files)) == pytest.approx(expected, rel=1e-5)


def test_images_without_hr_are_scored_where_no_reference_is_needed(
    files: tuple[Path, Path], niqe_parameters: Path
) -> None:
    pairs: list[PairFiles] = [("a", *files), ("b", files[0], None)]
    wanted = protocols(["psnr_y", "niqe", "psnr_y_pyiqa"], "here")
    found = {(s.image, s.protocol): s for s in score_pairs(pairs, wanted, Conditions(4))}
    assert len(found) == 6
    for name in ("psnr_y", "psnr_y_pyiqa"):
        assert found["a", name].value is not None
        assert (found["b", name].value, found["b", name].reason) == (None, NO_HR)
    assert found["a", "niqe"].value == found["b", "niqe"].value is not None
    without = score_pairs([("b", files[0], None)], protocols(["fid", "lpips_alex"], "here"), Conditions(0))
    assert {s.protocol: s.reason for s in without} == {"fid": NO_HR, "lpips_alex": NO_HR}


def test_a_flat_image_has_no_niqe(niqe_parameters: Path, tmp_path: Path, tvqsr: Command) -> None:
    write_png(tmp_path / "flat" / "grey.png", np.full((200, 200, 3), 128, np.uint8))
    result = tvqsr("score", "--sr", tmp_path / "flat", "--protocol", "niqe")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)["protocols"]["niqe"]
    assert (summary["mean"], summary["reason"]) == (None, UNDEFINED)


def test_the_score_command_without_hr(files: tuple[Path, Path], niqe_parameters: Path, tvqsr: Command) -> None:
    result = tvqsr("score", "--sr", files[0].parent, "--protocol", "niqe")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["images"]["cat"]["niqe"] == pytest.approx(score_of("niqe", *pixels(files)))
    refused = tvqsr("score", "--sr", files[0].parent, "--protocol", "niqe", "--protocol", "psnr_y")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "--protocol psnr_y: compares with HR; give the folder with --hr" in refused.stderr


def test_one_image_has_no_fid(files: tuple[Path, Path]) -> None:
    (score,) = score_pairs([("a", *files)], protocols(["fid"], "here"), Conditions(0))
    assert score.value is None
    assert "two or more are needed" in str(score.reason)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["psnr_y_pyiqa", "ssim_y_pyiqa", "niqe", "musiq"])
def test_scores_do_not_depend_on_the_device(
    name: str, files: tuple[Path, Path], torch_home: Path, niqe_parameters: Path
) -> None:
    from pyiqa.archs.musiq_arch import MUSIQ

    torch.manual_seed(0)
    torch.save(MUSIQ(pretrained=False).state_dict(), torch_home / "hub" / "pyiqa" / "musiq_koniq_ckpt-e95806b9.pth")
    cpu, cuda = (score_of(name, *pixels(files), device) for device in ("cpu", "cuda"))
    assert cuda == pytest.approx(cpu, rel=1e-4)
