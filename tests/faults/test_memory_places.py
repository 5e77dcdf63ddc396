"""Out of memory in each command that computes: one line that says where it ran out, and what helps there."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Command
from tests.faults.conftest import GIB, ON_GPU
from tests.untrained import run_of
from tvqsr.efficiency.advice import for_photos
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.degradation import Degradation
from tvqsr.plan.stored import record
from tvqsr.shortage import Shortage

IN_MAIN = MemoryError("Unable to allocate 500. GiB for an array")
OF_A_GPU = ("gpus: 0", "CUDA_VISIBLE_DEVICES", "on the CPU", "--device")
"""What makes no sense where main memory ran out: that is what the CPU computes in."""
ENTRY = ("bicubic", "photos_test")
OWN = ("upscale", "large.png", "o.png", "--entry", "bicubic", "--tile", 96, "--run")
FOLDERS = ("score", "--sr", "a", "--hr", "a", "--protocol", "psnr_y", "--threads", 4)
EXPLAIN = ("explain-score", "--sr", "a", "--hr", "a", "--reported", 30.1)
MORE = "run it where there is more memory"
PLACES: list[tuple[str, Callable[[Plan], tuple[object, ...]], str | None, str]] = [
    (
        "train.job.fit",
        lambda plan: ("train", plan.paths.root, run_of(plan, "vq", "tokenizer").name),
        "batch_size",
        "batch_size",
    ),
    ("score.job.score_pairs", lambda plan: ("score-entry", plan.paths.root, *ENTRY), "gpus: 0", MORE),
    ("upscale.job.load_upscaler", lambda plan: ("upscale-entry", plan.paths.root, *ENTRY), "gpus: 0", MORE),
    ("efficiency.job.inference_cost", lambda plan: ("measure-entry", plan.paths.root, "bicubic"), "gpus: 0", MORE),
    (
        "efficiency.job.inference_cost",
        lambda _: ("efficiency", "bicubic"),
        "`CUDA_VISIBLE_DEVICES=` before the command",
        MORE,
    ),
    ("upscale.photos.tiled", lambda plan: (*OWN, plan.paths.root), "`--tile 80`", "`--tile 64`, the smallest"),
    ("score.job.score_photos", lambda _: FOLDERS, "`--threads 2`", "`--threads 2`"),
    (
        "train.replay.replay",
        lambda plan: ("replay", plan.paths.run(run_of(plan, "vq", "tokenizer").name, 0)),
        "`CUDA_VISIBLE_DEVICES= tvqsr replay ",
        MORE,
    ),
    (
        "data.degrade_folder.make_lr",
        lambda _: ("degrade", "bicubic", "a", "lr"),
        "leave `--device cuda` out",
        f"{MORE}, or leave the largest photos out",
    ),
    (
        "data.apart.find_shared",
        lambda plan: ("check-overlap", plan.paths.root, "photos_train", "--threads", 4),
        None,
        "`--threads 2`, or to Snakemake `--cores 2`",
    ),
    ("data.apart.find_shared", lambda _: ("overlap", "a", "a", "--threads", 1), None, MORE),
    ("score.explain.read_image", lambda _: EXPLAIN, None, MORE),
    # The last one: it leaves the set without its manifest.
    ("data.pairs.make_lr", lambda plan: ("prepare", plan.paths.root, "photos_test"), None, MORE),
]


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def instead(*_: object, **__: object) -> NoReturn:
        raise error

    return instead


@pytest.mark.parametrize("where", ["GPU", "main"])
def test_each_place_tells_what_helps_where_memory_ran_out(
    where: str,
    preset: Callable[..., Path],
    workspace: Path,
    tvqsr: Command,
    monkeypatch: pytest.MonkeyPatch,
    gpu: None,
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
    monkeypatch.setattr("tvqsr.efficiency.job.ready", lambda model, gpus: (model, torch.device("cpu")))
    monkeypatch.setattr("tvqsr.shortage._main_memory", lambda: (GIB, 8 * GIB))
    needed = "8.00" if where == "GPU" else "501.00"
    for place, words, on_gpu, in_main in PLACES:
        told = on_gpu if where == "GPU" else in_main
        if told is None:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(f"tvqsr.{place}", raising(ON_GPU if where == "GPU" else IN_MAIN))
            result = tvqsr(*words(plan))
        assert result.returncode == 2, place
        line = result.stderr.strip().splitlines()[-1]
        assert line.startswith(f"tvqsr: error: out of {where} memory: {needed} GiB or more needed, 8.00 GiB there; "), (
            place
        )
        assert told in line, (place, line)
        assert where == "GPU" or not any(word in line for word in OF_A_GPU), (place, line)


@pytest.mark.parametrize(
    ("threads", "degradation", "told"), [(4, "bicubic", 2), (4, "bsrgan", None), (1, "bicubic", None)]
)
def test_fewer_photos_at_a_time_are_named_where_several_are_taken(
    preset: Callable[..., Path], threads: int, degradation: Degradation, told: int | None
) -> None:
    plan = Plan.load(str(preset(lambda p: p["runtime"].update(threads=threads))))
    advice = for_photos(plan, Shortage(2 * GIB, GIB, "main"), degradation)
    assert (f"lower `--config 'runtime={{threads: {told}}}'`" in advice) == (told is not None)
    assert (MORE in advice) == (told is None)


def limited(words: Sequence[str], limit: int) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own, with a limit on its address space."""
    return subprocess.run(
        [sys.executable, "-m", "tvqsr", *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_main_memory_that_runs_out_for_real(results: Path, workspace: Path) -> None:
    """A photo whose output is beyond the limit; bicubic needs no training."""
    Image.fromarray(np.zeros((4000, 4000, 3), np.uint8)).save(workspace / "huge.png", compress_level=1)
    words = ["upscale", "huge.png", "out.png", "--entry", "bicubic", "--run", str(results), "--tile", "0"]
    result = limited(words, 5 * GIB)
    assert result.returncode == 2, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    assert re.search(r"out of main memory: [\d.]+ GiB or more needed, 5\.00 GiB there", result.stderr)
    assert "the whole photo is done at once: give `--tile " in result.stderr
    assert not (workspace / "out.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("upscale-entry", "results/tiny", *ENTRY), f"a test image of photos_test is done whole; {MORE}, or leave"),
        (("degrade", "realesrgan", "photos", "lr"), f"a photo is done whole; {MORE}, or leave"),
    ],
)
def test_a_photo_that_is_too_large_for_the_main_memory(
    preset: Callable[..., Path], workspace: Path, tvqsr: Command, words: tuple[str, ...], told: str
) -> None:
    """36 megapixels, for real; what is needed is told in what the limit is of, addresses, so it is near the limit."""
    (workspace / "photos").mkdir()
    Image.fromarray(np.zeros((6000, 6000, 3), np.uint8)).save(workspace / "photos" / "huge.png", compress_level=1)
    if words[0] == "upscale-entry":
        folder = str(workspace / "photos")
        plan = Plan.load(str(preset(lambda p: p["datasets"].update(photos_test={"folder": folder}), "tiny")))
        write_json(plan.paths.record, record(plan))
        assert tvqsr("prepare", plan.paths.root, "photos_test").returncode == 0
    result = limited(words, 3 * GIB)
    assert result.returncode == 2, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    line = result.stderr.strip().splitlines()[-1]
    assert told in line and not any(word in line for word in OF_A_GPU), line
    needed = re.search(r"out of main memory: ([\d.]+) GiB or more needed, 3\.00 GiB there", line)
    assert needed and float(needed[1]) > 2.5, line
