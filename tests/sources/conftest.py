"""A server with a folder of archives, and a catalogue of one's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sources.pairs import Declare
from tvqsr.plan import catalogue


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, directory=str(folder), **more)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its name there)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Put a catalogue of one's own in place of the shipped one."""

    def write(sources: dict[str, Any]) -> None:
        path = tmp_path / "sources.yaml"
        path.write_text(yaml.safe_dump(sources))
        monkeypatch.setattr(catalogue, "CATALOGUE", path)
        catalogue.catalogue.cache_clear()

    yield write
    monkeypatch.undo()
    catalogue.catalogue.cache_clear()
