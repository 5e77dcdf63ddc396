"""Faults of the whole graph: signals, kills, two Snakemakes in one folder, results that are moved, clocks set back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, TINY
from tests.faults.kills import differing, moments_of, run
from tests.test_workflow import SNAKEMAKE, jobs, snakemake

pytestmark = pytest.mark.long
SMALL = ("entries=[bicubic, vq, vq_rec]", "training={iterations: 30}", "runtime={checkpoint_seconds: 0.3}")
LONG = ("entries=[vq_rec]", "training={iterations: 300}")
UNENDED = ("entries=[vq_rec]", "training={iterations: 30000}")


def begun(folder: Path, *changes: str) -> subprocess.Popen[str]:
    """Snakemake in a session of its own, as from a terminal, once its training has told of a step."""
    options = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", "1", "--config", f"preset={TINY}"]
    environment = os.environ | {"PATH": f"{SNAKEMAKE.parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [str(word) for word in (SNAKEMAKE, *options, *changes)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # What a shell started with `&` does not heed Ctrl-C; a terminal's job does.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads here)
    )
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(r"\d+/\d+  ", line):
            return process
    raise AssertionError("ended before a step was told")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_a_checkpoint_and_say_how_to_go_on(tmp_path: Path, number: int) -> None:
    process = begun(tmp_path, *LONG)
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    if number == signal.SIGINT:
        # SIGTERM ends `tee`, too, which would print it.
        assert re.search(r"seed 0: stopped after step \d+, checkpoint kept; run the same command to go on", said)
    again = snakemake(tmp_path, *LONG)
    assert again.returncode == 0, again.stderr[-3000:]
    assert re.search(r"resuming at [1-9]\d*/300", again.stdout + again.stderr)


def test_two_snakemakes_in_one_folder_and_a_preset_changed_meanwhile(tmp_path: Path) -> None:
    process = begun(tmp_path, *UNENDED)
    plan = tmp_path / "results" / "tiny" / "plan.json"
    before = plan.read_bytes()
    second = snakemake(tmp_path, "entries=[vq_rec]", "training={iterations: 3}")
    assert second.returncode != 0
    assert "Error: Directory cannot be locked" in second.stdout + second.stderr
    assert plan.read_bytes() == before, "the jobs of the first go by the plan of the first"
    # As the end of a Snakemake with another preset does.
    shutil.rmtree(tmp_path / ".snakemake" / "locks")
    second = snakemake(tmp_path, "entries=[vq_rec]", "training={iterations: 3}")
    assert second.returncode == 2
    assert "results/tiny: another Snakemake works in it" in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    assert plan.read_bytes() == before
    process.send_signal(signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=120)
    third = snakemake(tmp_path, "entries=[vq_rec]", "training={iterations: 3}")
    assert third.returncode == 0, third.stderr[-3000:]
    assert len(list((tmp_path / "results" / "tiny" / "runs").iterdir())) == 2, "the changed training is another run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    result = snakemake(folder, *SMALL)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def planned(folder: Path, *changes: str) -> str:
    result = snakemake(folder, "-n", *SMALL, *changes)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout + result.stderr


def test_a_clock_set_back_is_refused_and_leaves_nothing_stale(finished: Path, tmp_path: Path) -> None:
    """Everything is of tomorrow, and a training by other code is to be done today: what is made then would look older
    than what it is made of. Once times are right, it is done, and all that follows is to be made anew.
    """
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    results = folder / "results"
    of_time(results, time.time() + 86400)
    assert "Nothing to be done" in planned(folder)
    code = tmp_path / "checkout"
    shutil.copytree(ROOT, code, ignore=shutil.ignore_patterns(".venv", "results", ".git"))
    loop = code / "tvqsr" / "train" / "loop.py"
    loop.write_text(loop.read_text() + "\n\nOTHER_CODE = 1\n")
    command = [str(SNAKEMAKE), "--snakefile", str(code / "Snakefile"), "--directory", str(folder), "--cores", "1"]
    config = ["--config", f"preset={code / 'tests' / 'presets' / 'tiny.yaml'}", *SMALL]
    environment = os.environ | {"PATH": f"{SNAKEMAKE.parent}:{os.environ['PATH']}", "PYTHONPATH": str(code)}

    def other(*words: str) -> tuple[int, str]:
        told = subprocess.run([*command, *words, *config], env=environment, capture_output=True, text=True, check=False)
        return told.returncode, told.stdout + told.stderr

    every = [str(path.relative_to(folder)) for path in sorted(results.glob("tiny/runs/*/seed0/weights.safetensors"))]
    (first,) = (name for name in every if "tokenizer" in name)
    code_of, said = other(first)
    assert code_of != 0
    assert "This could indicate a clock skew problem" in said
    assert not (folder / first).exists(), "nothing that would pass for newer than it is"
    of_time(results, time.time())
    code_of, said = other(*every)
    assert code_of == 0, said[-3000:]
    _, said = other("-n")
    stale = jobs(said)
    # Of the two entries that are trained.
    assert (stale["upscale"], stale["score"]) == (2, 2)
    assert stale.get("train", 0) == 0


def of_time(folder: Path, when: float) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (when, when))


def test_results_that_were_moved_are_gone_on_with(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "results", tmp_path / "elsewhere" / "results")
    moved = tmp_path / "elsewhere"
    assert snakemake(moved, *SMALL).returncode == 0
    assert differing(finished / "results" / "tiny", moved / "results" / "tiny")[0] == []
    scores = "results/tiny/scores/vq/seed0/photos_test.parquet"
    assert pd.read_parquet(moved / scores).equals(pd.read_parquet(finished / scores))


def test_three_kills_change_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, 3, moments_of(0, 30.0))
    assert result["kills"] == 3
    assert result["differing_files"] == []
    assert sum(result["compared"].values()) > 20
