"""Signals: a step ends at once, leaves no half of a file, and says how to go on; where nobody listens, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command
from tvqsr.console import say
from tvqsr.files import written_beside


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C means something, which it does not in what a shell started with `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "stopped; what"), (signal.SIGTERM, "stopped by SIGTERM")])
def test_a_step_that_is_stopped_leaves_no_half(
    results: Path, tvqsr: Command, heeded: None, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def stopped(*_: object, **__: object) -> None:
        with written_beside(results / "half.bin") as beside:
            beside.write_bytes(b"half")
            signal.raise_signal(number)

    monkeypatch.setattr("tvqsr.report.tables.write_table", stopped)
    before = signal.getsignal(signal.SIGTERM)
    result = tvqsr("table", results, "main")
    assert result.returncode == 128 + number
    assert f"tvqsr table: {said}" in result.stderr
    assert "the same command goes on from there" in result.stderr
    assert [path.name for path in results.iterdir()] == ["plan.json"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_where_nobody_reads_what_is_said_the_work_goes_on() -> None:
    """As when a cluster's SIGTERM has ended `tee`, and the training is still to save."""
    script = f"from {say.__module__} import say\nsay('one')\ninput()\nsay('two')\nprint('saved', flush=True)"
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=write, text=True
    )
    os.close(write)
    with os.fdopen(read) as heard:
        assert heard.readline() == "one\n"
    out, _ = process.communicate("\n")
    assert out == "saved\n"
