"""Out of memory: what is told names the setting to lower, and by how much; simulated where there is no GPU."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tests.conftest import Command
from tests.untrained import run_of
from tvqsr.efficiency.advice import for_tiles, for_training
from tvqsr.efficiency.fresh import fresh_run
from tvqsr.efficiency.training import training_memory
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import record
from tvqsr.shortage import Shortage, is_out_of_memory, shortage

GIB = 2**30
ON_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 10 GiB")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of which 8 GiB are for this process, which held 6 GiB at its peak."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * GIB, 10 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 6 * GIB)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def instead(*_: object, **__: object) -> NoReturn:
        raise error

    return instead


@pytest.mark.usefixtures("gpu")
def test_what_was_needed_is_the_peak_and_what_was_asked_for_beyond() -> None:
    assert shortage(ON_GPU) == Shortage(8 * GIB, 8 * GIB, "GPU")
    on_cpu = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1073741824 bytes. Error 12"
    )
    found = shortage(on_cpu)
    assert found.where == "main"
    assert shortage(MemoryError("Unable to allocate 500. GiB for an array")).where == "main"
    assert shortage(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")).where == "GPU"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert found.needed == pytest.approx(peak + GIB, rel=0.01)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ON_GPU, True),
        (MemoryError("Unable to allocate 3.2 GiB for an array"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_other_errors_are_not_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def settings(told: str) -> tuple[int, int | None]:
    found = re.search(r"lower to batch_size (\d+)(?: and hr_crop (\d+))? at most", told)
    assert found, told
    return int(found[1]), int(found[2]) if found[2] else None


def test_the_batch_that_is_suggested_is_the_largest_that_fits(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p["training"].update(batch_size=12))))
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "GPU"))
    batch, crop = settings(told)
    assert crop is None
    assert "batch_size is 12 and hr_crop 64" in told
    assert f"`methods: {{vq: {{tokenizer: {{training: {{batch_size: {batch}}}}}}}}}`" in told
    stage = fresh_run(run)[1][run.name]
    whole, fits, more = (training_memory(stage, size, 64, 3)["total"] for size in (12, batch, batch + 1))
    assert fits <= 0.6 * whole < more


def test_where_one_crop_is_too_much_it_is_to_be_smaller(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p["training"].update(batch_size=2, hr_crop=128))))
    run = run_of(plan, "vq", "tokenizer")
    batch, crop = settings(for_training(plan, run, Shortage(16 * GIB, 4 * GIB, "GPU")))
    assert batch == 1
    assert crop is not None and 0 < crop < 128 and crop % run.method.spec.crop_multiple == 0
    assert "not even one crop" in for_training(plan, run, Shortage(1000 * GIB, GIB, "GPU"))


def test_a_last_phase_on_larger_crops_is_what_is_to_shrink(preset: Callable[..., Path]) -> None:
    last = {"iterations": 2, "batch_size": 4, "hr_crop": 128}
    plan = Plan.load(str(preset(lambda p: p["training"].update(last_phase=last))))
    told = for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(2 * GIB, GIB, "GPU"))
    assert re.search(r"training: \{last_phase: \{iterations: 2, batch_size: [12], hr_crop: 128\}\}", told)


def test_a_suggested_preset_is_a_valid_one(preset: Callable[..., Path]) -> None:
    content = preset(lambda p: p["training"].update(batch_size=12))
    plan = Plan.load(str(content))
    found = re.search(
        r"`(methods: .*)`", for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(2 * GIB, GIB, "GPU"))
    )
    assert found
    changed = run_of(Plan.load(str(content), yaml.safe_load(found[1])), "vq", "tokenizer")
    assert changed.training.batch_size < 12


def shared(preset: Callable[..., Path], processes: int, batch: int = 24, **training: object) -> Plan:
    """A plan whose batches are shared by so many processes."""

    def change(content: dict[str, Any]) -> None:
        content["runtime"].update(processes=processes)
        content["training"].update(batch_size=batch, **training)

    return Plan.load(str(preset(change)))


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_a_batch_that_is_suggested_can_be_shared_and_its_shares_fit(
    processes: int, preset: Callable[..., Path]
) -> None:
    plan = shared(preset, processes)
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "main"))
    batch, crop = settings(told)
    assert crop is None
    assert "processes:" not in told  # those of one machine share its memory
    suggested = re.search(r"`(methods: .*)`", told)
    assert suggested
    plan = Plan.load("mine.yaml", yaml.safe_load(suggested[1]))
    assert run_of(plan, "vq", "tokenizer").training.batch_size == batch
    stage, failed = fresh_run(run)[1][run.name], 24 // processes
    whole, fits, more = (
        training_memory(stage, size, 64, 3)["total"] for size in (failed, batch // processes, batch // processes + 1)
    )
    assert fits <= 0.6 * whole < more


def test_more_gpus_that_keep_the_batch_are_named_first(preset: Callable[..., Path]) -> None:
    plan = shared(preset, 2)
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "GPU"))
    found = re.search(r"keep both on (\d+) GPUs by `--config '(runtime)=(.*?)'`, or lower to", told)
    assert found
    more = Plan.load("mine.yaml", {found[2]: yaml.safe_load(found[3])}).preset.runtime.processes
    assert more == int(found[1])
    stage = fresh_run(run)[1][run.name]
    held = {count: training_memory(stage, 24 // count, 64, 3)["total"] for count in (2, 3, 4, 6, 8, 12, 24)}
    assert more == next(count for count, size in held.items() if size <= 0.6 * held[2])


def test_more_gpus_are_not_named_where_some_batch_cannot_be_shared(preset: Callable[..., Path]) -> None:
    """The number of processes is one for all trainings: where another's batch is odd, it would be refused."""
    plan = shared(preset, 1, last_phase={"iterations": 2, "batch_size": 23, "hr_crop": 32})
    told = for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(12 * GIB, 8 * GIB, "GPU"))
    assert "processes:" not in told and "lower to batch_size" in told


def test_tiles_shrink_with_the_root_of_the_memory() -> None:
    half = Shortage(16 * GIB, 8 * GIB, "GPU")
    assert for_tiles(half, 192, 1000) == "--tile is 192: give `--tile 128` or less"
    assert for_tiles(half, 0, 1000) == "the whole photo is done at once: give `--tile 656` or less"
    assert "smallest that make sense" in for_tiles(Shortage(1000 * GIB, GIB, "GPU"), 64, 1000)


ENTRY = ("bicubic", "photos_test")
OWN = ("upscale", "large.png", "o.png", "--entry", "bicubic", "--tile", 64, "--run")
FOLDERS = ("score", "--sr", "a", "--hr", "a", "--protocol", "psnr_y", "--threads", 4)
PLACES: list[tuple[str, Callable[[Plan], tuple[object, ...]], str]] = [
    ("train.job.fit", lambda plan: ("train", plan.paths.root, run_of(plan, "vq", "tokenizer").name), "batch_size"),
    ("score.job.score_pairs", lambda plan: ("score-entry", plan.paths.root, *ENTRY), "gpus: 0"),
    ("upscale.job.load_upscaler", lambda plan: ("upscale-entry", plan.paths.root, *ENTRY), "gpus: 0"),
    ("efficiency.job.inference_cost", lambda plan: ("measure-entry", plan.paths.root, "bicubic"), "gpus: 0"),
    ("upscale.photos.tiled", lambda plan: (*OWN, plan.paths.root), "`--tile 48`"),
    ("score.job.score_photos", lambda _: FOLDERS, "`--threads 2`"),
    (
        "train.replay.replay",
        lambda plan: ("replay", plan.paths.run(run_of(plan, "vq", "tokenizer").name, 0)),
        "`CUDA_VISIBLE_DEVICES= tvqsr replay ",
    ),
]


def test_each_place_tells_what_to_do(
    preset: Callable[..., Path], workspace: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch, gpu: None
) -> None:
    plan = Plan.load(str(preset(lambda p: p["runtime"].update(gpus=1))))
    write_json(plan.paths.record, record(plan))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for dataset in ("photos_train", "photos_test"):
        assert tvqsr("prepare", plan.paths.root, dataset).returncode == 0
    assert tvqsr("upscale-entry", plan.paths.root, "bicubic", "photos_test").returncode == 0
    (workspace / "a").mkdir()
    for name in ("large.png", "a/one.png"):
        Image.fromarray(np.zeros((80, 120, 3), np.uint8)).save(workspace / name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("tvqsr.upscale.job.ready", lambda model, _: (model, torch.device("cpu")))
    monkeypatch.setattr("tvqsr.efficiency.job.ready", lambda model, _: (model, torch.device("cpu")))
    for place, words, told in PLACES:
        with monkeypatch.context() as patch:
            patch.setattr(f"tvqsr.{place}", raising(ON_GPU))
            result = tvqsr(*words(plan))
        assert result.returncode == 2, place
        line = result.stderr.strip().splitlines()[-1]
        assert line.startswith("tvqsr: error: out of GPU memory: 8.00 GiB or more needed, 8.00 GiB there; "), place
        assert told in line, (place, line)


@pytest.mark.long
def test_main_memory_that_runs_out_for_real(results: Path, workspace: Path) -> None:
    """A limit on the process's address space, and a photo whose output is beyond it; bicubic needs no training."""
    Image.fromarray(np.zeros((4000, 4000, 3), np.uint8)).save(workspace / "huge.png", compress_level=1)
    words = ["upscale", "huge.png", "out.png", "--entry", "bicubic", "--run", str(results), "--tile", "0"]
    limit = 5 * GIB
    result = subprocess.run(
        [sys.executable, "-m", "tvqsr", *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    assert re.search(r"out of main memory: [\d.]+ GiB or more needed, 5\.00 GiB there", result.stderr)
    assert "the whole photo is done at once: give `--tile " in result.stderr
    assert not (workspace / "out.png").exists()
