"""Distances between sets of features: against independent computations, pyiqa, and simulation; and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from tests.conftest import Command, shared
from tests.noise import photos as noise_photos
from tvqsr.data.images import read_image, write_png
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.protocols import INCEPTION as INCEPTION_WEIGHTS
from tvqsr.score import distances, features
from tvqsr.score.distances import Features, frechet, kernel, statistics
from tvqsr.score.features import ALEXNET, INCEPTION, Seen, resized
from tvqsr.score.pairs import score_pairs
from tvqsr.score.photos import Conditions, paired_by_name
from tvqsr.score.protocol import Protocol
from tvqsr.score.protocols import protocols


def drawn(count: int, width: int, seed: int, shift: float = 0.0) -> Features:
    """Correlated features, not Gaussian, as after a ReLU."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(count, width)) @ random.normal(size=(width, width)) / np.sqrt(width)
    return np.maximum(mixed + shift, 0).astype(np.float32)


def by_singular_values(x: Features, y: Features) -> float:
    """The Frechet distance with the trace of the root from singular values of centred rows: no covariance is formed."""
    one, other = (rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64) for rows in (x, y))
    cross = one @ other.T / np.sqrt((len(x) - 1) * (len(y) - 1))
    shift = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
    variances = sum((rows**2).sum() / (len(rows) - 1) for rows in (one, other))
    return float(shift @ shift + variances - 2 * np.linalg.svd(cross, compute_uv=False).sum())


@pytest.mark.parametrize("counts", [(300, 300), (40, 500), (5, 5), (2, 2)])
def test_the_frechet_distance_is_its_definition(counts: tuple[int, int]) -> None:
    """Also of fewer rows than columns, where covariances have no full rank."""
    x, y = drawn(counts[0], 64, 0), drawn(counts[1], 64, 1, 0.2)
    assert frechet(x, y).value == pytest.approx(by_singular_values(x, y), rel=1e-6)


def test_the_frechet_distance_by_the_root_of_the_product() -> None:
    x, y = drawn(300, 48, 0), drawn(400, 48, 1, 0.2)
    (mean_x, a), (mean_y, b) = ((rows.astype(np.float64).mean(0), np.cov(rows.astype(np.float64).T)) for rows in (x, y))
    expected = ((mean_x - mean_y) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet(x, y).value == pytest.approx(expected, rel=1e-8)


def test_equal_sets_have_no_distance() -> None:
    x = drawn(30, 64, 0)
    assert frechet(x, x).value == pytest.approx(0, abs=1e-4)
    assert frechet(x, x + 1).value == pytest.approx(64, rel=1e-5)


def test_statistics_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn(500, 16, 0, shift=1000)
    expected = np.cov(x.astype(np.float64).T)
    for chunk in (7, 1024):
        monkeypatch.setattr(distances, "CHUNK", chunk)
        mean, covariance = statistics(x)
        assert mean == pytest.approx(x.astype(np.float64).mean(axis=0))
        assert covariance == pytest.approx(expected, rel=1e-9, abs=1e-9)


def kernel_by_loops(x: Features, y: Features) -> float:
    def k(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
        return float((a.astype(np.float64) @ b.astype(np.float64) / len(a) + 1) ** 3)

    n = len(x)
    within = [sum(k(s[i], s[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1)) for s in (x, y)]
    return sum(within) - 2 * sum(k(a, b) for a in x for b in y) / n**2


def test_the_kernel_distance_is_its_definition_and_its_error_the_jackknifes() -> None:
    x, y = drawn(12, 8, 0), drawn(12, 8, 1, 0.5)
    found = kernel(x, y)
    assert found.value == pytest.approx(kernel_by_loops(x, y), rel=1e-9)
    left = [kernel_by_loops(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(12)]
    assert found.error == pytest.approx(np.sqrt(11 / 12 * np.sum((np.array(left) - np.mean(left)) ** 2)), rel=1e-9)
    assert kernel(x[:2], y[:2]).error is None


def test_pyiqa_gives_the_same_kernel_distance() -> None:
    from pyiqa.archs.fid_arch import mmd_polynomial_kernel

    x, y = drawn(60, 32, 0), drawn(60, 32, 1, 0.1)
    assert kernel(x, y).value == pytest.approx(mmd_polynomial_kernel(x, y, num_subsets=1), rel=1e-3)


def test_an_image_is_left_out_with_all_its_patches() -> None:
    """Of unequal numbers of patches, by loops, whatever the images are called."""
    x, y = drawn(12, 8, 0), drawn(12, 8, 1, 0.5)
    owners = np.repeat([0, 3, 4, 9], [1, 5, 2, 4])
    left = np.array([kernel_by_loops(x[owners != owner], y[owners != owner]) for owner in np.unique(owners)])
    found = kernel(x, y, owners)
    assert found.value == kernel(x, y).value
    assert found.error == pytest.approx(np.sqrt(3 / 4 * np.sum((left - left.mean()) ** 2)), rel=1e-9)
    assert kernel(x, y, np.repeat([0, 1], 6)).error is None, "two images tell no spread"


@pytest.mark.parametrize(("subset", "patches"), [(1000, 1), (60, 1), (1000, 6), (120, 6)])
def test_the_standard_error_is_how_far_the_kernel_distance_strays(
    subset: int, patches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other photos: of all rows at once and of subsets, of images and of patches that are like their image's."""
    monkeypatch.setattr(distances, "SUBSET", subset)
    monkeypatch.setattr(distances, "SUBSETS", 30)
    random, photos = np.random.default_rng(0), 180 if patches == 1 else 60
    mixing, found = random.normal(size=(6, 6)) / np.sqrt(6), []
    for _ in range(80):
        counts = random.integers(1, 2 * patches, photos) if patches > 1 else np.ones(photos, int)
        owners = np.repeat(np.arange(photos), counts)
        of_photos = random.normal(size=(photos, 6))[owners]
        hr = of_photos + 0.5 * random.normal(size=(len(owners), 6))
        sr = hr + 0.3 + 0.2 * random.normal(size=hr.shape)
        x, y = (np.maximum(rows @ mixing, 0).astype(np.float32) for rows in (sr, hr))
        found.append(kernel(x, y, owners))
    strays = np.std([one.value for one in found], ddof=1)
    told = np.sqrt(np.mean([one.error**2 for one in found if one.error is not None]))
    assert told == pytest.approx(strays, rel=0.25)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(SR, HR): five photos of noise, and the same darker."""
    hr = noise_photos(tmp_path / "hr", (70, 64), (64, 90), (130, 70), (64, 64), (100, 65))
    for file in hr.iterdir():
        write_png(tmp_path / "sr" / file.name, read_image(file) // 2)
    return tmp_path / "sr", hr


@pytest.fixture
def alexnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))


@pytest.fixture
def inception(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FID's network with weights of nobody's, in the place of the true ones."""
    from pyiqa.archs import inception as theirs

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "load_pretrained_network", lambda *_, **__: None)
        torch.manual_seed(0)
        network = theirs.fid_inception_v3()
    torch.save(network.state_dict(), INCEPTION_WEIGHTS.target)
    features._network.cache_clear()


def test_fid_is_of_pyiqas_features(folders: tuple[Path, Path], inception: None) -> None:
    """On the same network with other weights: clean resizing, features and distance are all of it."""
    import pyiqa
    from pyiqa.archs import fid_arch

    theirs = pyiqa.create_metric("fid", device="cpu").net
    told = {"device": "cpu", "verbose": False, "num_workers": 0}
    expected = [fid_arch.get_folder_features(str(folder), theirs.model, **told) for folder in folders]
    for files, features_of_theirs in zip(folders, expected, strict=True):
        found = Seen(INCEPTION).features(sorted(files.iterdir()), "cpu", 2)
        assert found.shape == (5, 2048)
        assert found == pytest.approx(features_of_theirs, rel=1e-4, abs=1e-5)
    wanted = protocols(["fid", "kid"], "here")
    fid, kid = score_pairs(paired_by_name(*folders), wanted, Conditions(4))
    # Theirs takes the root of a product of 2048 x 2048: a minute, and within 1% of this where the rank is 4.
    assert fid.value == pytest.approx(by_singular_values(*expected), rel=1e-5)
    assert kid.value == pytest.approx(theirs(*map(str, folders), distance_type="mmd", **told), rel=1e-3)
    assert kid.error is not None
    assert "n = 5 images" in str(fid.note)
    assert "below 2048" in str(fid.note)


def test_fid_by_pyiqa_of_as_many_images_as_features() -> None:
    """The distance alone, where pyiqa's is sure of itself."""
    from pyiqa.archs.fid_arch import frechet_distance

    x, y = drawn(400, 40, 0), drawn(400, 40, 1, 0.2)
    theirs = frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert frechet(x, y).value == pytest.approx(float(theirs), rel=1e-4)


def test_patches_lie_side_by_side_from_the_top_left(folders: tuple[Path, Path], alexnet: None) -> None:
    files = sorted(folders[1].iterdir())
    found = Seen(ALEXNET, 32).features(files, "cpu", 1)
    cut = [
        resized(pixels[top : top + 32, left : left + 32], 224)
        for pixels in map(read_image, files)
        for top in range(0, pixels.shape[0] - 31, 32)
        for left in range(0, pixels.shape[1] - 31, 32)
    ]
    assert len(cut) == 2 * 2 + 2 * 2 + 2 * 4 + 2 * 2 + 2 * 3
    network = features._network(ALEXNET, "cpu")
    with torch.no_grad():
        expected = np.concatenate([network(torch.from_numpy(patch)[None]).numpy() for patch in cut])
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    with pytest.raises(UserError, match=r"p0\.png: is 70 x 64, smaller than a patch of 80 x 80"):
        Seen(ALEXNET, 80).features(files, "cpu", 1)


def of_patches(side: int) -> list[Protocol]:
    """The distances of AlexNet's features, of patches."""
    seen = Seen(ALEXNET, side)
    return [replace(protocol, seen=seen) for protocol in protocols(["fd_alexnet", "kd_alexnet"], "here")]


def test_patches_of_one_image_are_left_out_together(folders: tuple[Path, Path], alexnet: None) -> None:
    sr, hr = (Seen(ALEXNET, 32).features(sorted(folder.iterdir()), "cpu", 1) for folder in folders)
    frechet_distance, found = score_pairs(paired_by_name(*folders), of_patches(32), Conditions(0))
    assert frechet_distance.note == "n = 26 patches of 5 images, biased upwards below 2048"
    assert found.note == "n = 26 patches of 5 images"
    assert found.error == kernel(sr, hr, np.repeat(range(5), [4, 4, 8, 4, 6])).error
    assert found.error != kernel(sr, hr).error


def test_images_smaller_than_a_patch_are_left_out_and_counted(folders: tuple[Path, Path], alexnet: None) -> None:
    """Where a patch holds nothing of most, what is left is scored; of one image nothing is."""
    sr, hr = (
        Seen(ALEXNET, 65).features([folder / file for file in ("p2.png", "p4.png")], "cpu", 1) for folder in folders
    )
    frechet_distance, found = score_pairs(paired_by_name(*folders), of_patches(65), Conditions(0))
    assert frechet_distance.value == frechet(sr, hr).value
    assert found.note == "n = 3 patches of 2 images (3 smaller than a patch)"
    alone = score_pairs(paired_by_name(*folders), of_patches(70), Conditions(0))
    reason = "too small: 1 of 5 photos hold a patch of 70 x 70, two are needed"
    assert [(score.value, score.reason) for score in alone] == [(None, reason)] * 2


def test_features_do_not_depend_on_the_number_of_workers(folders: tuple[Path, Path], alexnet: None) -> None:
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    one, three = (Seen(ALEXNET, 32).features(files, "cpu", workers) for workers in (1, 3))
    assert (one == three).all()


def test_features_of_references_are_kept_by_what_they_are_of(
    folders: tuple[Path, Path], alexnet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second method does not compute them; a changed photo, another network's weights or a damaged file do."""
    kept, seen = tmp_path / "kept", []
    computed = Seen.features

    def counted(self: Seen, files: list[Path], device: str, workers: int) -> Features:
        seen.extend(files)
        return computed(self, files, device, workers)

    monkeypatch.setattr(Seen, "features", counted)

    def score() -> tuple[float | None, list[str]]:
        seen.clear()
        wanted = protocols(["fd_alexnet", "kd_alexnet"], "here")
        (value, _) = score_pairs(paired_by_name(*folders), wanted, Conditions(0, kept=kept))
        return value.value, [file.parent.name for file in seen]

    first, sides = score()
    assert sorted(set(sides)) == ["hr", "sr"]
    assert score() == (first, ["sr"] * 5)
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:1000], whole[:500] + b"x" + whole[501:], b""):
        file.write_bytes(damaged)
        value, sides = score()
        assert value == first
        assert "hr" in sides
    assert score() == (first, ["sr"] * 5)
    changed = next(folders[1].iterdir())
    write_png(changed, 255 - read_image(changed))
    value, sides = score()
    assert value != first
    assert "hr" in sides


def test_a_table_is_told_how_few_images_there_were(
    tvqsr: Command, preset: Callable[..., Path], alexnet: None, results: Path, tiny_plan: Plan
) -> None:
    plan = Plan.load(str(preset(lambda p: p.update(protocols=["fd_alexnet", "kd_alexnet"]))))
    assert tvqsr("record", "--preset", "mine.yaml").returncode == 0
    for words in (("prepare", "photos_test"), ("upscale-entry", "bicubic", "photos_test")):
        assert tvqsr(words[0], plan.paths.root, *words[1:]).returncode == 0
    result = tvqsr("score-entry", plan.paths.root, "bicubic", "photos_test")
    assert result.returncode == 0, result.stderr
    assert "fd_alexnet: n = 5 images, biased upwards below 2048" in result.stderr
    rows = pd.read_parquet(plan.paths.scores("bicubic", 0, "photos_test")).set_index("protocol")
    assert rows.definition["fd_alexnet"].endswith("n = 5 images, biased upwards below 2048")
    assert rows.error["kd_alexnet"] > 0
    assert np.isnan(rows.error["fd_alexnet"])
    assert "alexnet-owt-7be5be79.pth" in rows.network["fd_alexnet"]
    assert list(plan.paths.features("photos_test").iterdir())
