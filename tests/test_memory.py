"""What a command frees is kept for what it asks for next: counted as the pages that the system hands out anew."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tvqsr.memory import KEPT, KEPT_BY_OLDER, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, NEVER, keep_freed_memory

MIB = 2**20
CODE = """
import resource
{before}
def faults(mib, times):
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        bytearray(b"1" * (mib * 2**20))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun
faults(100, 1)
print(faults(100, 10))
"""
PAGES = 100 * MIB // 4096
"""Of one piece."""


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults of glibc's malloc")
@pytest.mark.parametrize(
    ("before", "kept"), [("", False), ("from tvqsr.cli import main; main(['methods'])", True)], ids=["python", "tvqsr"]
)
def test_commands_keep_what_they_free(before: str, kept: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(before=before)], capture_output=True, text=True, check=True
    )
    anew = int(done.stdout.splitlines()[-1]) / (10 * PAGES)

    # By itself glibc gives pieces of this size back: all their pages are handed out anew, each time.
    assert (anew < 0.1) if kept else (anew > 0.9)


HELD = """
from pathlib import Path
from tvqsr.memory import give_back_freed_memory, keep_freed_memory
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
keep_freed_memory()
pieces = [bytearray(b"1" * 2**20) for _ in range(300)]
between = [pieces[0], pieces[150], pieces[299]]
del pieces
kept = held()
give_back_freed_memory()
print(kept - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_what_was_kept_can_be_given_back_though_some_between_is_in_use() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 250


TILED = """
from pathlib import Path
import torch
import tvqsr.memory
from tvqsr.fetch.progress import Steps
from tvqsr.memory import keep_freed_memory
given = []
give = tvqsr.memory.give_back_freed_memory
tvqsr.memory.give_back_freed_memory = lambda: given.append(give())
from tvqsr.upscale.tiles import tiled
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
stay, seen = [], []
def network(part):
    seen.append(held())
    pieces = [bytearray(2**20) for _ in range(30)]
    for piece in pieces:
        del piece[2**12:]
    stay.extend(pieces)
    return part
keep_freed_memory()
silent = lambda total: Steps("tile", total, lambda _: None)
for images in (1, 2):
    tiled(network, torch.zeros(1, 3, 64, 400), 1, 64, silent)
tiles, among, after = len(seen), len(given), held()
tiled(network, torch.zeros(1, 3, 16, 16), 1, 64, silent)
print(tiles, seen[0], max(seen), among, after, len(given) - among)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_what_tiles_keep_does_not_grow_though_it_does_not_fit_the_next() -> None:
    """Each asks for 30 MiB and frees nearly all, in holes that are a little too small for the next; of two images."""
    done = subprocess.run([sys.executable, "-c", TILED], capture_output=True, text=True, check=True)
    tiles, first, most, given, after, of_one_tile = map(int, done.stdout.split())
    assert tiles > 12
    assert most < 1.3 * (first + 30)
    assert 2 < given < tiles / 2
    assert after < first + 30
    assert of_one_tile == 0


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is set on Linux alone")
def test_an_older_glibc_is_given_the_most_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[int, int] = {}

    def mallopt(setting: int, value: int) -> int:
        """As in malloc.c before 2.35: a threshold over half of a heap, 32 MiB, is refused."""
        if setting == M_MMAP_THRESHOLD and value > KEPT_BY_OLDER:
            return 0
        taken[setting] = value
        return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert taken == {M_MMAP_THRESHOLD: KEPT_BY_OLDER, M_TRIM_THRESHOLD: NEVER}
    assert KEPT > KEPT_BY_OLDER


def test_a_libc_without_the_setting_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl's: there is nothing to set."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    keep_freed_memory()
