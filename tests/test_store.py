"""The pixel store: how it is written, what it takes, and what is left when it does not fit."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.conftest import TINY
from tests.noise import photos
from tvqsr.data.ahead import in_order
from tvqsr.data.bicubic import downscale
from tvqsr.data.crops import CropSampler
from tvqsr.data.feed import batches
from tvqsr.data.images import read_image
from tvqsr.data.prepare import prepare
from tvqsr.data.store import open_store
from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.stored import record
from tvqsr.plan.training import Training

SIZES = [(131, 64), (90, 71), (48, 52), (64, 64), (200, 40)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and of those in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("for_training", [True, False])
@pytest.mark.parametrize("degradation", ["bicubic", "bsrgan"])
def test_threads_change_nothing(tmp_path: Path, for_training: bool, degradation: str) -> None:
    folder = photos(tmp_path / "photos", *SIZES)
    spec = DatasetSpec.model_validate({"folder": str(folder), "degradation": degradation})
    for threads in (1, 3):
        prepare(spec, tmp_path / f"out{threads}", for_training, print, threads=threads)
    assert contents(tmp_path / "out1") == contents(tmp_path / "out3")


def test_the_store_holds_every_sample(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", *SIZES)
    prepare(DatasetSpec(folder=str(folder)), tmp_path / "out", True, print, threads=2)
    opened, scale = open_store(tmp_path / "out")
    assert scale == 4
    for photo, (width, height) in zip(opened, SIZES, strict=True):
        assert photo.pixels
        hr = read_image(folder / f"{photo.name}.png")[: height // 4 * 4, : width // 4 * 4]
        assert np.array_equal(photo.pixels[0], hr)
        assert np.array_equal(photo.pixels[1], downscale(hr, 4))


def test_training_on_a_large_store_takes_no_memory(tmp_path: Path) -> None:
    """2.4 GB of samples in files with holes, which take no disk either: after 4800 crops memory is as it was."""
    height, width, count = 1360, 2040, 290
    images = [{"name": f"p{number}", "height": height, "width": width} for number in range(count)]
    declared = {"store": "pixels"}
    write_json(tmp_path / "manifest.json", {"role": "training", "scale": 4, "declared": declared, "images": images})
    for name, share in (("hr.u8", 1), ("lr.u8", 16)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(3 * height * width * count // share)
    schedule = {
        "iterations": 600,
        "batch_size": 8,
        "hr_crop": 64,
        "learning_rate": 1e-3,
        "betas": (0.9, 0.99),
        "ema": 0.5,
    }
    before = anonymous_mib()
    sampler = CropSampler(tmp_path, Training.model_validate(schedule), seed=0)
    fed = batches(sampler, 0, torch.device("cpu"), 1)
    assert sum(len(batch.hr) + len(batch.lr) for batch in fed) == 2 * 4800
    assert anonymous_mib() - before < 64


def anonymous_mib() -> float:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def test_training_on_given_pairs_takes_their_lr(tmp_path: Path) -> None:
    hr, lr = photos(tmp_path / "hr", (66, 49), (40, 40)), photos(tmp_path / "lr", (16, 12), (10, 10))
    said: list[str] = []
    prepare(DatasetSpec(folder=str(hr), lr_folder=str(lr)), tmp_path / "out", True, said.append)
    opened, _ = open_store(tmp_path / "out")
    for photo, (height, width) in zip(opened, [(48, 64), (40, 40)], strict=True):
        assert photo.pixels
        assert np.array_equal(photo.pixels[0], read_image(hr / f"{photo.name}.png")[:height, :width])
        assert np.array_equal(photo.pixels[1], read_image(lr / f"{photo.name}.png"))
    assert said == ["1 of 2 HR cut to 4 x LR", "2 photos, 0.0 megapixels"]


def test_results_come_in_order_and_few_at_a_time() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02 * (number % 3))
        with lock:
            running -= 1
        return number

    taken = 0

    def items() -> Iterator[int]:
        for number in range(20):
            assert number <= taken + 3
            yield number

    for result in in_order(work, items(), 3):
        assert result == taken
        taken += 1
    assert taken == 20
    assert 1 < most <= 3


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_result_would(workers: int) -> None:
    results = in_order(lambda number: 6 // number, [3, 2, 0, 1], workers)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_of_the_items_comes_where_the_result_of_the_next_would(workers: int) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("no more")

    results = in_order(lambda number: -number, in_order(lambda number: 2 * number, items(), workers), workers)
    assert [next(results) for _ in range(3)] == [-2, -4, -6]
    with pytest.raises(OSError, match="no more"):
        next(results)
    assert list(results) == []


def test_a_store_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """131 x 64 and 90 x 71 photos cut to 128 x 64 and 88 x 68, LR a sixteenth of that: 45237 bytes."""
    folder = photos(tmp_path / "photos", *SIZES[:2])
    need = 3 * (128 * 64 + 88 * 68) * 17 // 16

    def with_free(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))

    with_free(need - 1)
    with pytest.raises(UserError, match=r"out: the pixels of 2 photos need 0\.00 GB, 0\.00 GB are free; make room"):
        prepare(DatasetSpec(folder=str(folder)), tmp_path / "out", True, print)
    assert list((tmp_path / "out").iterdir()) == []
    with_free(need)
    prepare(DatasetSpec(folder=str(folder)), tmp_path / "out", True, print)
    written = sum((tmp_path / "out" / name).stat().st_size for name in ("hr.u8", "lr.u8"))
    assert written == need


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plan of a training set with a store and of a test set, on the same sizes of photos, a few hundred kilobytes."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(TINY.read_text())
    for name in ("photos_train", "photos_test"):
        content["datasets"][name] = {"folder": str(photos(tmp_path / name, *[(200, 160)] * 6))}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    plan = Plan.load("mine.yaml")
    write_json(plan.paths.record, record(plan))
    return plan.paths.root.resolve()


def command(results: Path, dataset: str) -> list[str]:
    return [sys.executable, "-m", "tvqsr", "prepare", str(results), dataset]


def limited(to: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (to, to))


@pytest.mark.parametrize(("dataset", "limit", "file"), [
    ("photos_train", 300_000, "hr.u8"),
    ("photos_test", 50_000, "HR/p0.png"),
    ("photos_test", 300_000, "photos.parquet"),
])  # fmt: skip
def test_a_file_that_cannot_grow_is_told_and_not_left(results: Path, dataset: str, limit: int, file: str) -> None:
    folder = results / "data" / dataset
    full = subprocess.run(
        command(results, dataset), preexec_fn=limited(limit), capture_output=True, text=True, check=False
    )
    assert full.returncode == 2
    assert f"{(folder / file).parent}: has no room for what is written there (File too large)" in full.stderr
    assert not (folder / file).exists()
    assert not (folder / "manifest.json").exists()
    assert list(folder.rglob("*.part")) == []
    assert subprocess.run(command(results, dataset), check=False, capture_output=True).returncode == 0
    undisturbed = results.parent / "undisturbed"
    prepare(Plan.load("mine.yaml").dataset(dataset), undisturbed, dataset == "photos_train", print)
    assert contents(folder) == contents(undisturbed)


@pytest.fixture
def small_disk(results: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Prepare a set on a file system of 400 kB that nobody else sees; prints the files that are left on it."""
    data = results / "data"
    data.mkdir()
    mount = f"mount -t tmpfs -o size=400k tmpfs {data}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")

    def run(dataset: str) -> subprocess.CompletedProcess[str]:
        prepared = " ".join(command(results, dataset))
        script = f"{mount} && {prepared}; code=$?; find {data / dataset} -type f; exit $code"
        return subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)

    return run


def test_a_full_disk_leaves_whole_files_only(small_disk: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    full = small_disk("photos_test")
    assert full.returncode == 2
    assert "R: has no room for what is written there (No space left on device); make room" in full.stderr
    left = full.stdout.split()
    assert 0 < len(left) < 12
    assert all(file.endswith(".png") for file in left)


def test_a_small_disk_is_seen_before_a_store_is_begun(
    small_disk: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    full = small_disk("photos_train")
    assert full.returncode == 2
    assert "photos_train: the pixels of 6 photos need 0.00 GB, 0.00 GB are free; make room" in full.stderr
    assert full.stdout == ""
