"""An archive that another process fetches, too, or that there is no room for."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.faulty_server import Answer, FaultyServer, Request
from tests.fetch.served import CONTENT, FILE, NOWHERE, OTHER, Fetch, published
from tvqsr.errors import UserError
from tvqsr.fetch.archive import fetch_archive
from tvqsr.plan.archive import ArchiveSpec


def test_two_at_once_fetch_once(tmp_path: Path, served: tuple[FaultyServer, ArchiveSpec]) -> None:
    """The server gives nothing before the second process has said that it waits."""
    server, _ = served
    waits = threading.Event()

    def answer(_: Request) -> Answer:
        waits.wait(100)
        return Answer(CONTENT)

    server.answers["/a"] = answer
    program = (
        "import sys; from pathlib import Path; from tvqsr.fetch.archive import fetch_archive\n"
        "from tvqsr.fetch.retry import Patience; from tvqsr.plan.archive import ArchiveSpec\n"
        f"fetch_archive({FILE!r}, ArchiveSpec(addresses=(sys.argv[1],)), Path(sys.argv[2]),\n"
        "    lambda line: print(line, flush=True), patience=Patience(read=200))"
    )
    command = [sys.executable, "-c", program, server.url("/a"), str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said: list[list[str]] = [[], []]

    def listen(number: int) -> None:
        for line in both[number].stdout or ():
            said[number].append(line)
            if "another process is at it; waiting" in line:
                waits.set()

    listening = [threading.Thread(target=listen, args=(number,)) for number in range(2)]
    for thread in listening:
        thread.start()
    for thread in listening:
        thread.join()
    assert [process.wait() for process in both] == [0, 0]
    assert len(server.requests) == 1 and waits.is_set()
    (waited,) = [lines for lines in said if "waiting" in lines[0]]
    assert len(waited) == 1
    assert (tmp_path / FILE).read_bytes() == CONTENT


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, served: tuple[FaultyServer, ArchiveSpec]) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import filelock, time; lock = filelock.FileLock({str(tmp_path / f'.{FILE}.lock')!r}); lock.acquire(); "
            "print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    said: list[str] = []
    fetching = threading.Thread(target=fetch_archive, args=(FILE, served[1], tmp_path, said.append))
    fetching.start()
    while not said:
        fetching.join(0.01)
    assert "waiting" in said[0] and not (tmp_path / FILE).exists()
    holder.kill()
    holder.wait()
    fetching.join(20)
    assert (tmp_path / FILE).read_bytes() == CONTENT


def test_room_is_asked_for_before_anything_is_written(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=150_000))
    with pytest.raises(UserError, match=rf"{FILE}: needs 300\.0 kB more in {tmp_path}, where 150\.0 kB are free"):
        fetch_once(served[1])
    assert not any(path.name.endswith(".part") for path in tmp_path.iterdir())


def test_only_the_missing_rest_needs_room(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, unpublished = served
    tags = {"ETag": '"one"'}
    server.answers["/a"] = [Answer(CONTENT, headers=tags, cut=100_000), Answer(CONTENT, headers=tags)]
    with contextlib.suppress(UserError):
        fetch_once(unpublished)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=199_000))
    with pytest.raises(UserError, match=r"needs 200\.0 kB more"):
        fetch_once(unpublished)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=201_000))
    assert fetch_once(unpublished).read_bytes() == CONTENT


def test_a_limit_met_while_writing_is_told_and_the_rest_fetched_when_it_is_gone(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec]
) -> None:
    """A limit of file size stands for a quota, or for a disk that another program fills."""
    server, _ = served
    server.answers["/a"] = [Answer(CONTENT, headers={"ETag": '"one"'})]
    program = (
        "import resource, sys; from pathlib import Path; from tvqsr.fetch.archive import fetch_archive\n"
        "from tvqsr.errors import UserError; from tvqsr.plan.archive import ArchiveSpec\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))\n"
        f"try: fetch_archive({FILE!r}, ArchiveSpec(addresses=(sys.argv[1],)), Path(sys.argv[2]), print)\n"
        "except UserError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", program, server.url("/a"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert f"{FILE}: no more can be written to {tmp_path} (File too large" in ended.stderr
    assert not (tmp_path / FILE).exists()
    assert fetch_once(ArchiveSpec(addresses=(server.url("/a"),))).read_bytes() == CONTENT
    assert "range" in server.requests[-1].headers


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB; only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk(small_disk: Path, served: tuple[FaultyServer, ArchiveSpec]) -> None:
    """The length is not told, so that room cannot be asked for."""
    server, unpublished = served
    server.answers["/a"] = [Answer(CONTENT * 10, framing="chunked")]
    with pytest.raises(UserError, match=rf"{FILE}: no more can be written to {small_disk} \(No space left on device, "):
        fetch_archive(FILE, unpublished, small_disk, print)
    assert not (small_disk / FILE).exists()


def test_a_file_in_a_folder_that_cannot_be_written_to_is_checked_each_time(
    small_disk: Path, hashed: list[Path], said: list[str]
) -> None:
    (small_disk / FILE).write_bytes(CONTENT)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for _ in range(2):
        assert fetch_archive(FILE, published(*NOWHERE), small_disk, said.append) == small_disk / FILE
    assert len(hashed) == 2 and any("checked each time" in line for line in said)
    with pytest.raises(UserError, match="instead of"):
        fetch_archive(FILE, published(*NOWHERE, content=OTHER), small_disk, said.append)
