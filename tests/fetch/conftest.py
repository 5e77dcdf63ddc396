"""A server that fails as told, what is said, and how an archive is fetched or unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.fetch.archives import HR, Into
from tests.fetch.faulty_server import FaultyServer
from tests.fetch.served import FILE, QUICK
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
