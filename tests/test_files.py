"""Files get their names whole and on the disk; what killed processes left of them is removed."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path

import pytest

from tvqsr.errors import UserError
from tvqsr.files import HOST, remove_leftovers, write_json, written_beside


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("before")
    asked: list[tuple[str, str]] = []

    def fsync(descriptor: int) -> None:
        asked.append((Path(f"/proc/self/fd/{descriptor}").read_text(encoding="utf-8"), file.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(file, {"step": 3})

    # A power cut keeps what was asked to be on the disk, and the name may come to it at any moment after.
    assert asked == [(file.read_text(), "before")]


def test_a_full_disk_is_no_other_error(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"has no room for what is written there \(No space left on device\)"),
        written_beside(tmp_path / "a.txt") as beside,
    ):
        beside.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(PermissionError), written_beside(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "not yours")
    assert list(tmp_path.iterdir()) == []


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = [tmp_path / f".hr.u8.{process}@{HOST}.part" for process in (dead.pid, os.getpid())]
    elsewhere = f".hr.u8.{dead.pid}@{'0' * 8}.part"
    """Of a process on another machine that writes into the same folder: whether it runs, only the file's age tells."""
    running = f".hr.u8.{os.getppid()}@{HOST}.part"
    long_ago = f".lr.u8.{os.getppid()}@{'0' * 8}.part"
    kept = [tmp_path / name for name in (running, elsewhere, "hr.u8", ".notes.part", "x.part")]
    left.append(tmp_path / long_ago)
    for file in [*left, *kept]:
        file.write_text("half")
    for file in (left[-1], *kept):
        age = 23 if file.name == elsewhere else 25
        os.utime(file, (time.time(), time.time() - 3600 * age))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
