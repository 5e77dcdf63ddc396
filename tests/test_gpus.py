"""Leases of GPUs, with devices simulated by an `nvidia-smi` of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Command
from tvqsr.errors import UserError
from tvqsr.gpus import leased_gpus, visible_devices

FOUR = "".join(f"GPU {n}: NVIDIA H100 80GB HBM3 (UUID: GPU-0000000{n}-aaaa)\n" for n in range(4))
DIVIDED = (
    "GPU 0: NVIDIA A100 (UUID: GPU-a)\n"
    "  MIG 3g.20gb     Device  0: (UUID: MIG-1)\n"
    "  MIG 3g.20gb     Device  1: (UUID: MIG-2)\n"
    "GPU 1: NVIDIA A100 (UUID: GPU-b)\n"
)
JOB = """
import os, sys, time
from tvqsr.gpus import leased_gpus
with leased_gpus(int(sys.argv[1])) as names:
    print(",".join(names), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four GPUs, and a folder of locks of its own; returns what `nvidia-smi -L` says, to be changed."""
    says = tmp_path / "says"
    says.write_text(FOUR)
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\ncat {says}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return says


@contextmanager
def jobs(count: int, gpus: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, str(gpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for job in started:
            job.kill()
            job.communicate()


def told(job: subprocess.Popen[str]) -> list[str]:
    assert job.stdout
    return job.stdout.readline().split()


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("-1", []),
        ("NoDevFiles", []),
        ("7", []),
        ("0,-1,1", ["0"]),
        ("1,GPU-0000000,2", ["1"]),
        ("GPU-00000002,,1", ["GPU-00000002"]),
        ("3,GPU-00000001", ["3", "GPU-00000001"]),
    ],
)
def test_what_is_no_device_hides_all_that_follow(
    machine: Path, monkeypatch: pytest.MonkeyPatch, told: str, seen: list[str]
) -> None:
    """CUDA's rule for `CUDA_VISIBLE_DEVICES` (CUDA C++ Programming Guide); the fifth is the beginning of all four."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert list(visible_devices()) == seen
    if not seen:
        with leased_gpus(1) as held:
            assert held == ()
            assert os.environ["CUDA_VISIBLE_DEVICES"] == told


def test_jobs_side_by_side_hold_one_device_each(machine: Path) -> None:
    with jobs(4) as four:
        seen = [told(job) for job in four]
    assert sorted(name for name, _ in seen) == [f"GPU-0000000{n}-aaaa" for n in range(4)]
    assert all(name == visible for name, visible in seen)


def test_one_too_many_waits_says_so_and_takes_what_a_killed_job_held(machine: Path) -> None:
    with jobs(4) as four:
        held = [told(job)[0] for job in four]
        with jobs(1) as (late,):
            assert late.stderr
            assert "4 of 4 GPUs are at work for other jobs" in late.stderr.readline()
            time.sleep(1.2)
            assert late.poll() is None
            four[2].kill()
            assert told(late)[0] == held[2]


def test_only_visible_devices_are_leased(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-00000003")
    assert visible_devices() == {"2": "GPU-00000002-aaaa", "GPU-00000003": "GPU-00000003-aaaa"}
    with leased_gpus(1) as first, jobs(1) as (other,):
        assert (first, os.environ["CUDA_VISIBLE_DEVICES"]) == (("2",), "2")
        # The other inherits what is visible to this one now: the leased device, which it has to wait for.
        assert other.stderr
        assert "1 of 1 GPUs are at work" in other.stderr.readline()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2, GPU-00000003"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with leased_gpus(1) as none:
        assert none == ()


def test_parts_of_a_divided_gpu_are_devices(machine: Path) -> None:
    machine.write_text(DIVIDED)
    assert list(visible_devices()) == ["MIG-1", "MIG-2", "GPU-b"]


def test_without_gpus_or_without_wanting_one_nothing_is_leased(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with leased_gpus(0) as none:
        assert none == ()
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    (machine.parent / "bin" / "nvidia-smi").unlink()
    # A last entry that is no folder: then a command that is not there is told as another error than that.
    monkeypatch.setenv("PATH", f"{machine.parent / 'bin'}:{machine}")
    with leased_gpus(1) as none:
        assert none == ()


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("No devices were found", 6),
        ("no driver to talk to", 9),
        ("no libnvidia-ml", 12),
        ("", 0),
    ],
)
def test_a_machine_without_gpus_may_have_the_command(machine: Path, says: str, code: int) -> None:
    command = machine.parent / "bin" / "nvidia-smi"
    command.write_text(f'#!/bin/sh\necho "{says}"\nexit {code}\n')
    with leased_gpus(1) as none:
        assert none == ()


def test_where_gpus_are_not_known_no_job_takes_the_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after one of four was lost: what is listed is not all, and torch may see the others."""
    command = machine.parent / "bin" / "nvidia-smi"
    command.write_text('#!/bin/sh\necho "Unable to determine the device handle: GPU is lost."\nexit 15\n')
    with pytest.raises(UserError, match=r"nvidia-smi -L: exit code 15, .* GPU is lost\.; which GPUs there are"):
        leased_gpus(1).__enter__()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with leased_gpus(1) as none:
        assert none == ()


def test_a_job_that_wants_several_takes_them_at_once_and_leaves_the_rest(machine: Path) -> None:
    with jobs(1, gpus=3) as (wide,):
        names = told(wide)[0].split(",")
        assert len(set(names)) == 3
        with jobs(1) as (narrow,):
            assert told(narrow)[0] not in names
            with jobs(1, gpus=2) as (late,):
                assert late.stderr
                assert "4 of 4 GPUs are at work" in late.stderr.readline()
                wide.kill()
                assert set(told(late)[0].split(",")) < set(names)


def test_a_job_that_wants_more_than_there_are_is_refused(machine: Path) -> None:
    with pytest.raises(UserError, match="5 GPUs wanted for one job, 4 to be seen"), leased_gpus(5):
        pass


def test_a_process_that_helps_another_sees_what_that_one_leased(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with leased_gpus(2) as names:
        monkeypatch.setenv("LOCAL_RANK", "1")
        with leased_gpus(2) as none:
            assert none == ()
            assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(names)


@pytest.mark.parametrize(
    ("name", "device", "seen"),
    [("aesop", "cuda", "GPU-00000000-aaaa"), ("aesop", "cpu", None), ("bicubic", "cuda", None)],
)
def test_photos_are_degraded_on_a_gpu_that_is_leased(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tvqsr: Command, name: str, device: str, seen: str | None
) -> None:
    """And none is, or is waited for, where none is at work."""
    found: list[str | None] = []
    folder = "tvqsr.data.degrade_folder.degrade_folder"
    monkeypatch.setattr(folder, lambda *_: found.append(os.environ.get("CUDA_VISIBLE_DEVICES")))
    assert tvqsr("degrade", name, "hr", "lr", "--device", device).returncode == 0
    assert found == [seen]
