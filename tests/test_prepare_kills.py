"""`tvqsr prepare` killed at random moments: a plain rerun makes what an undisturbed run does, and nothing else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import TINY, Command
from tvqsr.cli import main
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import record

PHOTOS, SIDES = 6, (318, 410)
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["tvqsr.commands.jobs", "tvqsr.data.prepare", "datasets"])

Run = Callable[[list[str], Path, float], tuple[int, float]]
"""Exit code of a command line on a folder and how long it ran, killed after so many seconds."""


@pytest.fixture
def results(workspace: Path) -> Path:
    """Plan of a training set with a store and of a test set, of photos large enough to take a while."""
    noise = np.random.default_rng(0)
    content = yaml.safe_load(TINY.read_text())
    for name in ("photos_train", "photos_test"):
        folder = workspace / name
        folder.mkdir()
        for number in range(PHOTOS):
            pixels = noise.integers(0, 256, (*SIDES, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"p{number}.png", compress_level=1)
        content["datasets"][name] = {"folder": str(folder)}
    (workspace / "mine.yaml").write_text(yaml.safe_dump(content))
    plan = Plan.load("mine.yaml")
    write_json(plan.paths.record, record(plan))
    return plan.paths.root.resolve()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder in a folder, hidden ones, too."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"folder" for p in folder.rglob("*")}


def as_command(words: list[str], _: Path, seconds: float) -> tuple[int, float]:
    """`python -m tvqsr`, its imports included."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tvqsr", *words], stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(), time.perf_counter() - started


def imported_before(words: list[str], folder: Path, seconds: float) -> tuple[int, float]:
    """The same with all imports done; the clock starts when the folder is touched, so that every kill hits the work."""
    process = SERVER.Process(target=_exits, args=(words,))
    process.start()
    while (folder / "manifest.json").exists() and process.is_alive():
        time.sleep(0.001)
    started = time.perf_counter()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, time.perf_counter() - started


def _exits(words: list[str]) -> None:
    sys.exit(main(words))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["photos_train", "photos_test"])
@pytest.mark.parametrize(("run", "kills", "least_halves"), [(as_command, 3, 0), (imported_before, 7, 4)])
def test_a_rerun_after_a_kill_makes_what_an_undisturbed_run_makes(
    results: Path, tvqsr: Command, dataset: str, run: Run, kills: int, least_halves: int
) -> None:
    folder, words = results / "data" / dataset, ["prepare", str(results), dataset]
    assert tvqsr(*words).returncode == 0
    undisturbed = contents(folder)
    assert {"manifest.json", "photos.parquet"} < set(undisturbed)
    code, length = run(words, folder, 600)
    assert code == 0
    moments = random.Random(dataset)  # noqa: S311 (no secret)
    killed = halves = 0
    for _ in range(5 * kills):
        if run(words, folder, moments.uniform(0, length))[0] == -signal.SIGKILL:
            killed += 1
            halves += not (folder / "manifest.json").exists()
            assert (folder / "manifest.json").exists() == (contents(folder) == undisturbed)
        assert tvqsr(*words).returncode == 0
        assert contents(folder) == undisturbed
        if killed == kills:
            break
    assert killed == kills
    assert halves >= least_halves
