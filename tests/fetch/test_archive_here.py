"""An archive that is there: put by hand, fetched before, by another process, or with no room for it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.fetch.faulty_server import Answer, FaultyServer, Request
from tvqsr.errors import UserError
from tvqsr.fetch import sums
from tvqsr.fetch.archive import fetch_archive
from tvqsr.fetch.retry import Patience
from tvqsr.files import read_json, write_json
from tvqsr.plan.archive import ArchiveSpec

FILE = "photos.zip"
CONTENT = np.random.default_rng(6).bytes(200_000)
OTHER = CONTENT[::-1]
QUICK = Patience(waits=(), connect=20, read=20)
NOWHERE = ("http://127.0.0.1:9/photos.zip",)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def fetch(tmp_path: Path, said: list[str]) -> Callable[[ArchiveSpec], Path]:
    return lambda spec: fetch_archive(FILE, spec, tmp_path, said.append, patience=QUICK)


@pytest.fixture
def served() -> Iterator[tuple[FaultyServer, ArchiveSpec]]:
    """A server, and a spec of a file there of which nothing is published."""
    with FaultyServer() as server:
        server.answers["/a"] = [Answer(CONTENT)]
        yield server, ArchiveSpec(addresses=(server.url("/a"),))


Fetch = Callable[[ArchiveSpec], Path]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spec(content: bytes = CONTENT) -> ArchiveSpec:
    return ArchiveSpec(addresses=NOWHERE, bytes=len(content), sha256=digest(content))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that are hashed."""
    seen: list[Path] = []
    add_file = sums.Summing.add_file

    def watched(self: sums.Summing, path: Path) -> None:
        seen.append(path)
        add_file(self, path)

    monkeypatch.setattr(sums.Summing, "add_file", watched)
    return seen


def test_a_file_put_there_by_hand_is_checked_once(
    tmp_path: Path, fetch: Fetch, hashed: list[Path], said: list[str]
) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    assert fetch(spec()) == tmp_path / FILE
    record = read_json(tmp_path / f"{FILE}.json")
    assert (record["address"], record["trust"], record["sha256"]) == (None, "published", digest(CONTENT))
    assert len(hashed) == 1
    fetch(spec())
    assert len(hashed) == 1
    os.utime(tmp_path / FILE)
    fetch(spec())
    assert len(hashed) == 2


def test_a_wrong_file_put_there_by_hand_is_named_and_stays(tmp_path: Path, fetch: Fetch, hashed: list[Path]) -> None:
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match=rf"{FILE}: has sha256 {digest(OTHER)} instead of sha256 {digest(CONTENT)}"):
        fetch(spec())
    assert len(hashed) == 1
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(UserError, match=rf"{FILE}: has 5 bytes instead of {len(CONTENT)}"):
        fetch(spec())
    assert len(hashed) == 1
    assert (tmp_path / FILE).read_bytes() == b"short" and not (tmp_path / f"{FILE}.json").exists()


def test_a_file_that_changed_on_the_disk_is_noticed(tmp_path: Path, fetch: Fetch) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    fetch(spec())
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match="instead of"):
        fetch(spec())


def test_what_is_not_published_is_trusted_once_and_checked_ever_after(
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec], said: list[str]
) -> None:
    server, unpublished = served
    fetch(unpublished)
    before = read_json(tmp_path / f"{FILE}.json") | {"date": "2020-02-03T04:05:06+00:00"}
    write_json(tmp_path / f"{FILE}.json", before)
    assert before["trust"] == "first use"
    assert any("trusted on first use" in line and digest(CONTENT) in line for line in said)
    (tmp_path / FILE).unlink()
    fetch(unpublished)
    after = read_json(tmp_path / f"{FILE}.json")
    assert after | {"checked_mtime_ns": 0} == before | {"checked_mtime_ns": 0}
    (tmp_path / FILE).unlink()
    server.answers["/a"] = [Answer(OTHER)]
    with pytest.raises(UserError) as raised:
        fetch(unpublished)
    advice = f"as on 2020-02-03 when it was first seen (to trust the new one, delete {tmp_path / FILE}.json)"
    assert advice in str(raised.value) and digest(OTHER) in str(raised.value)
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match="to trust the new one, delete"):
        fetch(unpublished)
    (tmp_path / f"{FILE}.json").unlink()
    fetch(unpublished)
    assert read_json(tmp_path / f"{FILE}.json")["sha256"] == digest(OTHER)


def test_a_hash_published_later_counts_for_more_than_the_record(
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec]
) -> None:
    server, unpublished = served
    fetch(unpublished)
    fetch(ArchiveSpec(addresses=unpublished.addresses, sha256=digest(CONTENT)))
    assert read_json(tmp_path / f"{FILE}.json")["trust"] == "published"
    with pytest.raises(UserError, match=f"instead of sha256 {digest(OTHER)}"):
        fetch(spec(OTHER))
    (tmp_path / FILE).unlink()
    server.answers["/a"] = [Answer(OTHER)]
    fetch(ArchiveSpec(addresses=unpublished.addresses, sha256=digest(OTHER)))
    assert read_json(tmp_path / f"{FILE}.json")["sha256"] == digest(OTHER)


def test_a_damaged_record_is_named(tmp_path: Path, fetch: Fetch) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    for content in ("{", "[]", '{"bytes": 3}'):
        (tmp_path / f"{FILE}.json").write_text(content)
        with pytest.raises(UserError, match=rf"{FILE}\.json.*delete it"):
            fetch(spec())


def test_nothing_published_is_said_where_it_is_to_be_got_by_hand(fetch: Fetch) -> None:
    with pytest.raises(UserError, match=r"\(size and hash are not published\)$"):
        fetch(ArchiveSpec(addresses=NOWHERE))


def test_an_unknown_kind_of_address_is_named(fetch: Fetch) -> None:
    for address in ("ftp://there/a.zip", "drive:", "hub:owner/name@main", "hub:owner/name/file.zip"):
        with pytest.raises(UserError, match=address):
            fetch(ArchiveSpec(addresses=(address,)))


def test_a_file_that_is_all_here_needs_no_network(
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process leaves it that is stopped after the last byte."""
    server, unpublished = served
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tvqsr.fetch.archive.recorded", _stopped)
        fetch(unpublished)
    assert not (tmp_path / FILE).exists()
    assert fetch(unpublished).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert read_json(tmp_path / f"{FILE}.json")["address"] == server.url("/a")


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


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
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=150_000))
    with pytest.raises(UserError, match=rf"{FILE}: needs 200\.0 kB more in {tmp_path}, where 150\.0 kB are free"):
        fetch(served[1])
    assert not any(path.name.endswith(".part") for path in tmp_path.iterdir())


def test_only_the_missing_rest_needs_room(
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, unpublished = served
    tags = {"ETag": '"one"'}
    server.answers["/a"] = [Answer(CONTENT, headers=tags, cut=100_000), Answer(CONTENT, headers=tags)]
    with contextlib.suppress(UserError):
        fetch(unpublished)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=99_000))
    with pytest.raises(UserError, match=r"needs 100\.0 kB more"):
        fetch(unpublished)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=101_000))
    assert fetch(unpublished).read_bytes() == CONTENT


def test_a_limit_met_while_writing_is_told_and_the_rest_fetched_when_it_is_gone(
    tmp_path: Path, fetch: Fetch, served: tuple[FaultyServer, ArchiveSpec]
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
    assert fetch(ArchiveSpec(addresses=(server.url("/a"),))).read_bytes() == CONTENT
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
        assert fetch_archive(FILE, spec(), small_disk, said.append) == small_disk / FILE
    assert len(hashed) == 2 and any("checked each time" in line for line in said)
    with pytest.raises(UserError, match="instead of"):
        fetch_archive(FILE, spec(OTHER), small_disk, said.append)
