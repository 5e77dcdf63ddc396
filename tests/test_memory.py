"""What a command frees is kept for what it asks for next: counted as the pages that the system hands out anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
