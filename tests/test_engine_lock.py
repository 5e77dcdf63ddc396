"""Snakemake's lock: taken off where its holder is gone, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tvqsr import engine_lock
from tvqsr.engine_lock import LOCKS, hold, holder_of, locks, note_holder, take_off_stale_lock
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json

FILES = {"input": {"photo.png"}, "output": {"results/mini/b", "results/mini/a"}}
OTHERS = {"input": {"other.png"}, "output": {"results/other"}}


def locked(number: int, files: dict[str, set[str]]) -> None:
    """As Snakemake writes them: a line for each file, in any order."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    for kind, names in files.items():
        (LOCKS / f"{number}.{kind}.lock").write_text("".join(f"{name}\n" for name in names))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the locks of a Snakemake."""
    monkeypatch.chdir(tmp_path)
    locked(0, FILES)
    return tmp_path


def note_by_one_that_ended(files: dict[str, set[str]] = FILES) -> None:
    """Note a holder in a process that is gone afterwards."""
    code = f"from tvqsr.engine_lock import *; note_holder({files})"
    subprocess.run([sys.executable, "-c", code], check=True)


def changed(**process: Any) -> None:
    """Change what is noted of the holders."""
    for lock in locks():
        noted = read_json(holder_of(lock))
        noted.pop("content_sha256", None)
        write_json(holder_of(lock), noted | {"process": noted["process"] | process})


def test_the_lock_of_one_that_is_gone_is_taken_off(folder: Path) -> None:
    note_by_one_that_ended()
    assert "was taken off" in take_off_stale_lock()
    assert list(LOCKS.iterdir()) == []
    assert take_off_stale_lock() == ""


def test_the_lock_of_one_that_lives_stays(folder: Path) -> None:
    note_holder(FILES)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_a_number_that_came_again_is_another_process(folder: Path) -> None:
    note_holder(FILES)
    changed(started="1")
    assert "was taken off" in take_off_stale_lock()


def test_after_a_boot_all_are_gone(folder: Path) -> None:
    note_holder(FILES)
    changed(boot="another")
    assert "was taken off" in take_off_stale_lock()


@pytest.mark.parametrize("process", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_of_another_machine_or_container_nothing_is_known(folder: Path, process: dict[str, str]) -> None:
    note_by_one_that_ended()
    changed(**process)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_locks_of_others_stay_whenever_they_came(folder: Path) -> None:
    """One that lives and one whose holder nobody noted, beside that of one that is gone."""
    locked(1, OTHERS)
    locked(2, {"input": set(), "output": {"results/third"}})
    note_by_one_that_ended()
    note_holder(OTHERS)
    assert "was taken off" in take_off_stale_lock()
    assert [lock.name for lock in locks()] == [f"{n}.{kind}.lock" for n in (1, 2) for kind in FILES]


def test_the_lock_of_one_that_lives_stays_where_another_reads_the_same_files(folder: Path) -> None:
    alike = {"input": FILES["input"], "output": {"results/other"}}
    note_holder(FILES)
    locked(1, alike)
    note_by_one_that_ended(alike)
    assert "was taken off" in take_off_stale_lock()
    assert [lock.name for lock in locks()] == ["0.input.lock", "0.output.lock"]


def test_each_that_is_gone_has_its_own_lock_taken_off(folder: Path) -> None:
    locked(1, OTHERS)
    note_by_one_that_ended()
    note_by_one_that_ended(OTHERS)
    assert "was taken off" in take_off_stale_lock()
    assert locks() == []


def test_a_lock_put_in_the_place_of_one_that_is_gone_stays(folder: Path) -> None:
    note_by_one_that_ended()
    locked(0, OTHERS)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"process": 3, "lock": ""}', '{"process": {}, "lock": {}}'])
def test_a_note_that_cannot_be_read_takes_nothing_off(folder: Path, content: str) -> None:
    for lock in locks():
        holder_of(lock).write_text(content)
    assert take_off_stale_lock() == ""
    assert len(locks()) == 2


def test_a_zombie_is_gone(folder: Path) -> None:
    child = os.fork()
    if child == 0:
        note_holder(FILES)
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


def test_one_snakemake_at_a_time_works_in_a_results_folder(tmp_path: Path) -> None:
    results = tmp_path / "results" / "mini"
    held = f"from tvqsr.engine_lock import *; hold(Path({str(results)!r}))"
    code = f"import time; {held}; print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout and other.stdout.readline() == b"1\n"
            with pytest.raises(UserError, match=r"results/mini: another Snakemake works in it; wait until it has"):
                hold(results)
            hold(tmp_path / "results" / "small")
        finally:
            other.kill()
    hold(results)


def test_a_results_folder_that_cannot_be_written_to_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(UserError, match=r"results/mini: cannot be written to \(Not a directory\); make it writable"):
        hold(tmp_path / "results" / "mini")
