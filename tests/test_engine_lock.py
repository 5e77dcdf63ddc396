"""Snakemake's lock: taken off where its holder is gone, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tvqsr import engine_lock
from tvqsr.engine_lock import HOLDER, LOCKS, locks, note_holder, take_off_stale_lock
from tvqsr.files import read_json, write_json


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the locks of a Snakemake."""
    monkeypatch.chdir(tmp_path)
    LOCKS.mkdir(parents=True)
    for kind in ("input", "output"):
        (LOCKS / f"0.{kind}.lock").write_text(f"results/mini/{kind}\n")
    return tmp_path


def note_by_one_that_ended(others: str = "{}") -> None:
    """Note a holder in a process that is gone afterwards."""
    code = f"from tvqsr.engine_lock import *; note_holder({others})"
    subprocess.run([sys.executable, "-c", code], check=True)


def changed(**process: Any) -> None:
    noted = read_json(HOLDER)
    noted.pop("content_sha256", None)
    write_json(HOLDER, noted | {"process": noted["process"] | process})


def test_the_lock_of_one_that_is_gone_is_taken_off(folder: Path) -> None:
    note_by_one_that_ended()
    assert "was taken off" in take_off_stale_lock()
    assert locks() == {}
    assert take_off_stale_lock() == ""


def test_the_lock_of_one_that_lives_stays(folder: Path) -> None:
    note_holder({})
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_a_number_that_came_again_is_another_process(folder: Path) -> None:
    note_holder({})
    changed(started="1")
    assert "was taken off" in take_off_stale_lock()


def test_after_a_boot_all_are_gone(folder: Path) -> None:
    note_holder({})
    changed(boot="another")
    assert "was taken off" in take_off_stale_lock()


@pytest.mark.parametrize("process", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_of_another_machine_or_container_nothing_is_known(folder: Path, process: dict[str, str]) -> None:
    note_by_one_that_ended()
    changed(**process)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_locks_of_others_stay(folder: Path) -> None:
    """Those that were there before, and those that were put in the place of its own."""
    (LOCKS / "1.output.lock").write_text("results/other\n")
    others = {name: content for name, content in locks().items() if name == "1.output.lock"}
    note_by_one_that_ended(repr(others))
    assert "was taken off" in take_off_stale_lock()
    assert list(locks()) == ["1.output.lock"]
    note_by_one_that_ended()
    (LOCKS / "1.output.lock").write_text("results/another\n")
    assert take_off_stale_lock() == ""
    assert list(locks()) == ["1.output.lock"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"process": 3, "locks": {}}', '{"process": {}, "locks": {}}'])
def test_a_note_that_cannot_be_read_takes_nothing_off(folder: Path, content: str) -> None:
    HOLDER.write_text(content)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_a_zombie_is_gone(folder: Path) -> None:
    child = os.fork()
    if child == 0:
        note_holder({})
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        assert "was taken off" in take_off_stale_lock()
    finally:
        os.waitpid(child, 0)


def test_where_the_system_does_not_tell_processes_apart_locks_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_by_one_that_ended()
    monkeypatch.setattr(engine_lock, "_start_of", lambda number: "")
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2
