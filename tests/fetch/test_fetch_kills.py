"""Fetching and unpacking, killed again and again: a plain rerun completes, and all is as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fetch.archives import picture, zipped
from tests.fetch.faulty_server import Answer, FaultyServer

# One process that has imported everything and forks one that works, so that a kill costs no start of Python. The worker
# is killed after a time or, at the named moments, by itself: just before its Nth change or reading of a file.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import requests, filelock, PIL.Image
from PIL import PngImagePlugin
from tvqsr.data.sources import obtain
from tvqsr.fetch import archive, unpack
from tvqsr.plan import catalogue
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import ArchiveSource

# What was written survives a kill; a busy disk would make this slow.
os.fsync = lambda descriptor: None
url, folder = sys.argv[1], Path(sys.argv[2])
members = {"hr": {"photos.zip": "HR/{name}.png"}, "lr": {"photos.zip": "LR/{name}x4.png"}}
source = {"kind": "archive", "title": "Photos", "licence": "none", "photos": 24, **members}
source["archives"] = {"photos.zip": {"addresses": [url]}}
catalogue.catalogue = lambda: {"photos": ArchiveSource.model_validate(source)}
moments, count = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "shutil.rmtree"}, 0

def watch(event, arguments):
    global count
    if event in moments and str(folder) in str(arguments[0]):
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

def work():
    sys.addaudithook(watch)
    obtain(DatasetSpec(source="photos"), Places(str(folder)), lambda line: None)
    print("events", count, flush=True)

for line in sys.stdin:
    kind, value = line.split()
    last = int(value) if kind == "event" else 0
    worker = os.fork()
    if worker == 0:
        try:
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    if kind == "time":
        time.sleep(float(value))
        os.kill(worker, signal.SIGKILL)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""
FETCH = 26
"""Events until the archive is there and recorded; those of unpacking are many more."""
KILLS = 24
PATIENCE = 240
"""Seconds after which a test that hangs ends: 8 is usual, 40 on a crowded machine."""


class Worker:
    """Runs the program: to its end, until a time, or until an event."""

    def __init__(self, url: str, folder: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, url, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, kind: str = "all", value: float = 0) -> tuple[int, int]:
        """Exit code (negative: the signal) and the events that a finished run counted."""
        assert self.process.stdin and self.process.stdout
        print(kind, value, file=self.process.stdin, flush=True)
        events = 0
        while True:
            word, number = self.process.stdout.readline().split()
            if word == "ended":
                return int(number), events
            events = int(number)


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
def worker(tmp_path: Path, url: str) -> Iterator[Worker]:
    (tmp_path / "work").mkdir()
    worker = Worker(url, tmp_path / "work")
    guard = threading.Timer(PATIENCE, worker.process.kill)
    guard.start()
    yield worker
    guard.cancel()
    worker.process.communicate(timeout=PATIENCE)


@pytest.fixture
def undisturbed(tmp_path: Path, worker: Worker) -> tuple[dict[str, Any], int]:
    """What a run leaves that nobody disturbs, and how many events it has."""
    folder = tmp_path / "work"
    code, events = worker.run()
    found = tree(folder)
    assert code == 0 and events > 150
    assert len(found) == 24 * 2 + 6 and not any(".part" in name for name in found)
    empty(folder)
    return found, events


def test_killed_before_any_change_of_the_fetch(
    tmp_path: Path, worker: Worker, undisturbed: tuple[dict[str, Any], int]
) -> None:
    folder = tmp_path / "work"
    met: Counter[str] = Counter()
    for event in range(1, FETCH + 1):
        assert worker.run("event", event)[0] == -9
        met[where(folder)] += 1
        assert worker.run()[0] == 0
        assert tree(folder) == undisturbed[0]
        empty(folder)
    assert min(met["fetch"], met["whole"], met["between"]) >= 3, met


def test_killed_at_random_again_and_again(
    tmp_path: Path, worker: Worker, undisturbed: tuple[dict[str, Any], int]
) -> None:
    """Most kills meet what the one before left."""
    folder, draw = tmp_path / "work", np.random.default_rng(3)
    met: Counter[str] = Counter()
    while met.total() < KILLS:
        moment = ("time", draw.uniform(0.02, 0.3)), ("event", int(draw.integers(1, undisturbed[1])))
        code, _ = worker.run(*moment[draw.integers(2)])
        assert code in (0, -9)
        met[where(folder)] += code < 0
        if code == 0 or draw.random() < 0.3:
            assert worker.run()[0] == 0
            assert tree(folder) == undisturbed[0]
            empty(folder)
    assert worker.run()[0] == 0
    assert tree(folder) == undisturbed[0]
    assert min(met["fetch"], met["unpack"]) >= 3, met
