"""A server that fails as told, what is said, and how an archive is fetched or unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.fetch.archives import HR, Into
from tests.fetch.faulty_server import Answer, FaultyServer
from tests.fetch.served import CONTENT, FILE, QUICK, unpublished
from tvqsr.fetch import sums
from tvqsr.fetch.archive import fetch_archive
from tvqsr.fetch.retry import Patience
from tvqsr.fetch.unpack import unpack
from tvqsr.plan.archive import ArchiveSpec


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def fetch(folder: Path, said: list[str]) -> Callable[..., Path]:
    def fetch(spec: ArchiveSpec, patience: Patience = QUICK) -> Path:
        return fetch_archive(FILE, spec, folder, said.append, patience=patience)

    return fetch


@pytest.fixture
def into(tmp_path: Path) -> Into:
    def into(archive: Path, patterns: Mapping[str, str] = HR) -> dict[str, list[str]]:
        return unpack(archive, tmp_path / "sets" / "valid", patterns, print)

    return into


@pytest.fixture
def fetch_once(tmp_path: Path, said: list[str]) -> Callable[..., Path]:
    """Into `tmp_path`, without another try."""
    patience = Patience(waits=(), connect=20, read=20)
    return lambda spec: fetch_archive(FILE, spec, tmp_path, said.append, patience=patience)


@pytest.fixture
def served(server: FaultyServer) -> tuple[FaultyServer, ArchiveSpec]:
    """A server, and a spec of a file there of which nothing is published."""
    server.answers["/a"] = [Answer(CONTENT)]
    return server, unpublished(server.url("/a"))


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
