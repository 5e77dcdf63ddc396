"""Scores against the official values, and against pyiqa, lpips and scikit-image on random, odd and extreme images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.calibration import IN_PYIQA, OFFICIAL, missing, pyiqas, rows
from tests.conftest import shared
from tests.scoring import real_pairs, score_of
from tvqsr.data.images import Pixels


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """LPIPS with its true weights."""
    from pyiqa.utils import download_util

    home = shared("weights", "torch_home")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(home / "hub" / "pyiqa"))


def noise(height: int, width: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pairs() -> Iterator[tuple[str, Pixels, Pixels]]:
    """Real, random, odd, equal and opposite images."""
    for number, (sr, hr) in enumerate(real_pairs()[:2]):
        yield f"real {number}", sr[:300, :257], hr[:300, :257]
    yield "noise", noise(200, 176, 0), noise(200, 176, 1)
    yield "odd sides", real_pairs()[0][0][:163, :199], real_pairs()[0][1][:163, :199]
    yield "equal", real_pairs()[1][1][:177, :180], real_pairs()[1][1][:177, :180]
    black = np.zeros((180, 170, 3), np.uint8)
    yield "black against white", black, 255 - black
    yield "negative", 255 - real_pairs()[1][1][:180, :180], real_pairs()[1][1][:180, :180]


SLOW = ("pyiqa:cw_ssim", "pyiqa:mad")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in OFFICIAL]
)
def test_the_official_values(name: str) -> None:
    if lacking := missing(name):
        pytest.skip(f"needs {', '.join(map(str, lacking))}")
    about, found = OFFICIAL[name], rows(name)
    expected = [row.official for row in found]
    assert [row.ours for row in found] == pytest.approx(expected, abs=about.absolute, rel=about.relative)


@pytest.mark.parametrize("name", IN_PYIQA)
def test_pyiqa_gives_the_same_numbers(name: str) -> None:
    for told, sr, hr in pairs():
        assert score_of(name, sr, hr) == pytest.approx(pyiqas(name, sr, hr), abs=IN_PYIQA[name].absolute), told


@pytest.mark.parametrize("network", ["alex", "squeeze"])
def test_the_lpips_package_gives_the_same_numbers(network: str) -> None:
    """Each image's features come once from the network here, twice there."""
    import lpips

    theirs = lpips.LPIPS(net=network, verbose=False).eval()
    for told, sr, hr in pairs():
        images = [torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for image in (sr, hr)]
        with torch.no_grad():
            expected = float(theirs(*images))
        assert score_of(f"lpips_{network}", sr, hr) == pytest.approx(expected, abs=1e-6), told


def test_vgg_gives_the_same_numbers_on_fresh_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are not here: the same network with others."""
    import lpips

    from tvqsr.score import perceptual

    torch.manual_seed(0)
    theirs = lpips.LPIPS(net="vgg", verbose=False, pnet_rand=True).eval()
    monkeypatch.setattr(perceptual, "_lpips", lambda network, _device: {"vgg": theirs}[network])
    sr, hr = (pair[:64, :80] for pair in real_pairs()[0])
    images = [torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for image in (sr, hr)]
    with torch.no_grad():
        expected = float(theirs(*images))
    assert score_of("lpips_vgg", sr, hr) == pytest.approx(expected, abs=1e-6)


def test_scikit_image_gives_the_same_numbers() -> None:
    for told, sr, hr in pairs():
        a, b = sr.astype(np.float64), hr.astype(np.float64)
        expected = structural_similarity(
            a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
        )
        assert score_of("ssim_rgb", sr, hr) == pytest.approx(expected, abs=1e-9), told
        if (sr != hr).any():
            expected = peak_signal_noise_ratio(b, a, data_range=255)
            assert score_of("psnr_rgb", sr, hr) == pytest.approx(expected, abs=1e-2), told


def test_the_best_is_the_best() -> None:
    """Equal images score what no others do."""
    _, image = real_pairs()[0]
    best = {"psnr_y": 80, "psnr_rgb": 80, "ssim_y": 1, "ssim_rgb": 1, "ms_ssim": 1, "lpips_alex": 0, "lpips_squeeze": 0}
    assert {name: score_of(name, image, image) for name in best} == pytest.approx(best, abs=1e-9)
