"""One training in two processes: what it computes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT, Command
from tvqsr.errors import UserError
from tvqsr.plan import Plan

Preset = Callable[..., Path]
OTHERS = {
    "tvqrap": ("predictor", "rap"),
    "vq": ("predictor",),
    "esrgan": ("gan",),
    "ldl": ("gan",),
    "aesop": ("autoencoder", "gan"),
    "femasr": ("hq", "lq"),
    "adacode": ("bases_and_mix",),
    "codeformer": ("predictor", "fusion"),
    "lar_sr": ("tokenizer", "lar"),
}


def changed(content: dict[str, Any]) -> None:
    """A codebook of running averages that waits, and a GAN term that waits."""
    waiting = {"quantizer": "vq_ema", "quantize_from": 2, "gan_start": 2}
    content["methods"]["vq"]["tokenizer"]["settings"].update(waiting)


def half_as_long(content: dict[str, Any]) -> None:
    changed(content)
    content["training"].update(iterations=2)


@pytest.fixture
def photos(results: Path, tiny_plan: Plan, tvqsr: Command) -> Path:
    """The tiny preset's training photos, prepared."""
    assert tvqsr("prepare", results, "photos_train").returncode == 0
    return tiny_plan.paths.dataset("photos_train")


def spread(processes: int, preset: Path, photos: Path, out: Path, *stages: str) -> None:
    out.mkdir(exist_ok=True)
    words = (str(processes), str(preset), str(photos), str(out), *stages)
    command = [sys.executable, "-m", "tests.spread", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("Starting with 2 processes" in done.stderr) == (processes == 2)


def assert_equal(first: Path, second: Path, stage: str) -> None:
    """In float64, weights to 1e-8 of the largest of their tensor, and losses."""
    one, two = (load_file(folder / f"{stage}.safetensors") for folder in (first, second))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-8 * max(1e-3, float(value.abs().max())), msg=name)
    curves = [json.loads((folder / f"{stage}.json").read_text()) for folder in (first, second)]
    for expected, found in zip(*curves, strict=True):
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)


def both_ways(stages: list[str], preset: Path, photos: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        spread(processes, preset, photos, tmp_path / str(processes), *stages)
    for stage in stages:
        assert_equal(tmp_path / "1", tmp_path / "2", stage)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(photos: Path, preset: Preset, tmp_path: Path) -> None:
    """What looks at a whole batch: batch norm, adaptive weight, running averages of codes, contrast of photos."""
    both_ways(["tvqrap.tokenizer", "vq.tokenizer", "adacode.sr"], preset(changed), photos, tmp_path)


@pytest.mark.long
def test_every_stage_learns_the_same_in_two_processes(photos: Path, preset: Preset, tmp_path: Path) -> None:
    stages = [f"{method}.{stage}" for method, stages in OTHERS.items() for stage in stages]
    both_ways(stages, preset(changed), photos, tmp_path)


@pytest.mark.long
def test_the_librarys_entropy_is_of_the_whole_batch(photos: Path, preset: Preset, tmp_path: Path) -> None:
    lfq = preset(lambda content: content["methods"]["vq"]["tokenizer"]["settings"].update(quantizer="lfq"))
    both_ways(["vq.tokenizer"], lfq, photos, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_another_number_of_processes_goes_on(
    order: tuple[int, int], photos: Path, preset: Preset, tmp_path: Path
) -> None:
    half = preset(half_as_long, name="half")
    whole = preset(changed)
    spread(1, whole, photos, tmp_path / "straight", "vq.tokenizer")
    for processes, part in zip(order, (half, whole), strict=True):
        spread(processes, part, photos, tmp_path / "resumed", "vq.tokenizer")
    assert_equal(tmp_path / "straight", tmp_path / "resumed", "vq.tokenizer")


def test_a_batch_that_cannot_be_shared_out_is_refused(preset: Preset) -> None:
    path = preset(lambda content: content["runtime"].update(processes=3))
    with pytest.raises(UserError, match=r"3 processes cannot share the batch of 2 of \w+\.\w+ equally"):
        Plan.load(str(path))


@pytest.mark.long
def test_a_loss_that_is_not_finite_in_one_share_stops_both(
    preset: Preset, tvqsr_alone: Command, tvqsr: Command
) -> None:
    """Weights of NaN reach all shares by the gradients; the step is kept by the first, and replayed by one process."""

    def wild(content: dict[str, Any]) -> None:
        content["runtime"].update(processes=2, checkpoint_seconds=1e6)
        # Logged at every fifth step: which one it was, the guards of both shares have to tell.
        content["training"].update(learning_rate=1e30, iterations=1000)

    plan = Plan.load(str(preset(wild)))
    run = next(run for run in plan.runs.values() if (run.method.name, run.stage) == ("vq", "tokenizer"))
    assert tvqsr("record", "--preset", "mine.yaml").returncode == 0
    assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
    stopped = tvqsr_alone("train", plan.paths.root, run.name)
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.count("no weights were written") == 1
    assert "generator/pixel is nan at step 2;" in stopped.stderr
    replayed = tvqsr_alone("replay", plan.paths.run(run.name, 0))
    assert replayed.returncode == 0, replayed.stderr
    assert "not finite" in replayed.stdout


def ended(process: int) -> bool:
    """Whether a process is gone, or waits for nothing but to be taken note of; within two minutes."""
    for _ in range(1200):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.long
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_together_and_a_rerun_goes_on(
    ending: signal.Signals, preset: Preset, tvqsr: Command, workspace: Path
) -> None:
    """SIGTERM to the first, which a cluster sends; SIGKILL to a helper, as the kernel does when memory is short."""

    def long(content: dict[str, Any]) -> None:
        content["runtime"].update(processes=2, checkpoint_seconds=0.5)
        content["training"].update(iterations=60)

    plan = Plan.load(str(preset(long)))
    run = next(run for run in plan.runs.values() if run.stage == "predictor" and run.method.name == "vq").lineage()[0]
    assert tvqsr("record", "--preset", "mine.yaml").returncode == 0
    assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
    command = [sys.executable, "-m", "tvqsr", "train", str(plan.paths.root), run.name]
    log = workspace / "log"
    with log.open("w") as file, subprocess.Popen(command, cwd=workspace, stderr=file) as first:
        checkpoint = plan.paths.run(run.name, 0) / "state" / "checkpoint.pt"
        while not (workspace / checkpoint).is_file():
            assert first.poll() is None, log.read_text()
            time.sleep(0.1)
        (helper,) = map(int, Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split())
        os.kill(first.pid if ending is signal.SIGTERM else helper, ending)
        code = first.wait(timeout=60)
    if ending is signal.SIGTERM:
        assert code == 128 + ending
        assert "checkpoint kept; run the same command to go on" in log.read_text()
    else:
        # Fabric kills the first when it sees the helper gone, unless torch sees a broken connection before.
        assert code in (2, -signal.SIGKILL)
        assert code != 2 or "one of its 2 processes ended" in log.read_text()
    assert ended(helper)
    assert not (workspace / plan.paths.weights(run.name, 0)).exists()
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resuming at" in done.stderr
    record = json.loads((workspace / plan.paths.run_record(run.name, 0)).read_text())
    assert record["processes"] == 2
    assert record["images_per_second"] > 0


@pytest.mark.slow
def test_a_helper_does_not_outlive_a_first_that_is_killed_before_they_are_connected(
    preset: Preset, tvqsr: Command, workspace: Path
) -> None:
    plan = Plan.load(str(preset(lambda content: content["runtime"].update(processes=2))))
    run = next(run for run in plan.runs.values() if (run.method.name, run.stage) == ("vq", "tokenizer"))
    assert tvqsr("record", "--preset", "mine.yaml").returncode == 0
    assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
    command = [sys.executable, "-m", "tvqsr", "train", str(plan.paths.root), run.name]
    with subprocess.Popen(command, cwd=workspace, stderr=subprocess.DEVNULL) as first:
        while not (helpers := helpers_of(first.pid)):
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
    assert ended(helpers[0])


def helpers_of(first: int) -> list[int]:
    """Its children that Fabric started; another may have ended meanwhile."""
    found = []
    for child in map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split()):
        with suppress(OSError):
            if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                found.append(child)
    return found


def test_each_process_has_its_own_threads() -> None:
    """Snakemake tells a job, by OMP_NUM_THREADS, the threads of all its processes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "6"}
    command = [sys.executable, "-m", "tests.threads", "2", "3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "3"]
