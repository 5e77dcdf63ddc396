"""Fetching and unpacking, killed again and again: a plain rerun completes, and all is as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fetch.archives import picture, zipped
from tests.fetch.faulty_server import Answer, FaultyServer
from tvqsr.data.sources import obtain
from tvqsr.plan import catalogue
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import ArchiveSource, Source

# One process that has imported everything forks those that work, so that a kill costs no start of Python.
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["tests.fetch.test_fetch_kills", "requests", "filelock", "PIL.PngImagePlugin"])
MOMENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "shutil.rmtree"}
"""Python's audit events of a change or a reading of a file."""
FETCH = 26
"""Events until the archive is there and recorded; those of unpacking are many more."""
KILLS = 24


def work(url: str, folder: Path, last: int | None) -> None:
    """Obtain the photos; kill oneself just before the event of that number, or else write how many there were."""
    os.fsync = lambda fd: None  # What was written survives a kill; a busy disk would make this slow.
    members = {"hr": {"photos.zip": "HR/{name}.png"}, "lr": {"photos.zip": "LR/{name}x4.png"}}
    source = {"kind": "archive", "title": "Photos", "licence": "none", "photos": 24, **members}
    source["archives"] = {"photos.zip": {"addresses": [url]}}
    photos: Source = ArchiveSource.model_validate(source)
    pytest.MonkeyPatch().setattr(catalogue, "catalogue", lambda: {"photos": photos})
    count = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in MOMENTS and str(folder) in str(arguments[0]):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    obtain(DatasetSpec(source="photos"), Places(str(folder)), lambda _: None)
    folder.with_name("events").write_text(str(count))


class Worker:
    """Runs the work: to its end, until a time, or until an event."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def run(self, seconds: float | None = None, event: int | None = None) -> int:
        """Exit code; negative: the signal."""
        process = SERVER.Process(target=work, args=(self.url, self.folder, event))
        process.start()
        process.join(seconds)
        if seconds is not None:
            process.kill()
        process.join()
        assert process.exitcode is not None
        return process.exitcode


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A zip of 24 pairs behind a server that is slow enough to be interrupted; no hash of it is published."""
    files = {f"HR/{i}.png": picture(i, side=200) for i in range(24)}
    files |= {f"LR/{i}x4.png": picture(i, side=50) for i in range(24)}
    content = zipped(tmp_path / "served.zip", files).read_bytes()
    with FaultyServer() as server:
        server.answers["/a"] = [Answer(content, headers={"ETag": '"one"'}, pause=0.004)]
        yield server.url("/a")


def tree(folder: Path) -> dict[str, Any]:
    """All files and what is in them; of the record, all but when."""
    found: dict[str, Any] = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    for name, path in found.items():
        content = path.read_bytes()
        if path.suffix == ".json":
            found[name] = json.loads(content) | {"date": None, "checked_mtime_ns": None}
        else:
            found[name] = content
    return found


def where(folder: Path) -> str:
    """What a killed run was at."""
    if (folder / "archives" / "photos.zip").exists():
        return "unpack" if (folder / ".photos.part").exists() else "between"
    part = folder / "archives" / ".photos.zip.part"
    total = folder.with_name("served.zip").stat().st_size
    return "whole" if part.exists() and part.stat().st_size == total else "fetch"


def empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.fixture
def worker(tmp_path: Path, url: str) -> Worker:
    (tmp_path / "work").mkdir()
    return Worker(url, tmp_path / "work")


@pytest.fixture
def undisturbed(tmp_path: Path, worker: Worker) -> tuple[dict[str, Any], int]:
    """What a run leaves that nobody disturbs, and how many events it has."""
    folder = tmp_path / "work"
    assert worker.run() == 0
    found, events = tree(folder), int((tmp_path / "events").read_text())
    assert events > 150
    assert len(found) == 24 * 2 + 6 and not any(".part" in name for name in found)
    empty(folder)
    return found, events


@pytest.mark.slow
def test_killed_before_any_change_of_the_fetch(
    tmp_path: Path, worker: Worker, undisturbed: tuple[dict[str, Any], int]
) -> None:
    folder = tmp_path / "work"
    met: Counter[str] = Counter()
    for event in range(1, FETCH + 1):
        assert worker.run(event=event) == -9
        met[where(folder)] += 1
        assert worker.run() == 0
        assert tree(folder) == undisturbed[0]
        empty(folder)
    assert min(met["fetch"], met["whole"], met["between"]) >= 3, met


@pytest.mark.slow
def test_killed_at_random_again_and_again(
    tmp_path: Path, worker: Worker, undisturbed: tuple[dict[str, Any], int]
) -> None:
    """Most kills meet what the one before left."""
    folder, draw = tmp_path / "work", np.random.default_rng(3)
    met: Counter[str] = Counter()
    while met.total() < KILLS:
        seconds, event = draw.uniform(0.02, 0.3), int(draw.integers(1, undisturbed[1]))
        code = worker.run(seconds) if draw.random() < 0.5 else worker.run(event=event)
        assert code in (0, -9)
        met[where(folder)] += code < 0
        if code == 0 or draw.random() < 0.3:
            assert worker.run() == 0
            assert tree(folder) == undisturbed[0]
            empty(folder)
    assert worker.run() == 0
    assert tree(folder) == undisturbed[0]
    assert min(met["fetch"], met["unpack"]) >= 3, met
