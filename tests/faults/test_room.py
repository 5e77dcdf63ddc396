"""No room, or no leave to write: one line that names the place, exit code 2, nothing half written, nothing lost."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Command
from tvqsr.plan.stored import stored_plan


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def steps(copy: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """Command of each step that writes, and a file that it writes."""
    run = next(name for name in stored_plan(copy).runs if name.startswith("vq.tokenizer"))
    return {
        "train": (("train", run), f"runs/{run}/seed0/weights.safetensors"),
        "upscale": (("upscale-entry", "vq", "photos_test"), "images/vq/seed0/photos_test/run.json"),
        "score": (("score-entry", "vq", "photos_test"), "scores/vq/seed0/photos_test.parquet"),
        "table": (("table", "main"), "tables/main.photos_test.csv"),
        "figure": (("figure", "strip.main"), "figures/strip.main.png"),
        "claims": (("claims",), "claims.csv"),
        "report": (("report",), "report.html"),
    }


@pytest.mark.parametrize(
    "step", ["train", "upscale", "score", "table", "figure", "claims", pytest.param("report", marks=pytest.mark.slow)]
)
def test_a_full_disk_is_one_line_and_a_rerun_mends_it(copy: Path, tvqsr: Command, step: str) -> None:
    words, name = steps(copy)[step]
    if step == "report":
        for needed in ("cost", "codebook", *(f for f in stored_plan(copy).figures)):
            tvqsr("figure", copy, needed)
    (copy / name).unlink(missing_ok=True)
    with files_of_at_most(600):
        full = tvqsr(words[0], copy, *words[1:])
    assert full.returncode == 2, full.stderr
    (line,) = [line for line in full.stderr.splitlines() if line.startswith("tvqsr: error: ")]
    assert "no room" in line or "File too large" in line
    assert "Traceback" not in full.stderr
    assert not (copy / name).exists()
    assert not list(copy.rglob("*.part"))
    again = tvqsr(words[0], copy, *words[1:])
    assert again.returncode == 0, again.stderr
    assert (copy / name).stat().st_size > 600


def test_results_that_may_not_be_written_are_named(copy: Path) -> None:
    """Read-only by a mount that nobody else sees, since permissions do not hold for root."""
    mount = f"mount --bind {copy} {copy} && mount -o remount,ro,bind {copy}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    for words in (f"table {copy} main", f"score-entry {copy} vq photos_test"):
        command = f"{mount} && {sys.executable} -m tvqsr {words}"
        result = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, check=False)
        assert result.returncode == 2, result.stderr
        assert "Read-only file system" in result.stderr
        assert str(copy) in result.stderr
        assert "Traceback" not in result.stderr
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
