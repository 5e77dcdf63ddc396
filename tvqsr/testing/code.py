"""Checks of what importing `plugin.py` does beside defining things, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.testing.candidate import Candidate
from tvqsr.testing.outcome import FailureError


def imported(candidate: Candidate) -> None:
    """plugin.py is imported without a trace: nothing printed, written, fetched or set, no random number drawn.

    The suite plans, trains and scores many methods; what one leaves behind, others would compute with.
    """
    where, found = candidate.folder / "plugin.py", _traces(candidate.folder)
    if found["error"]:
        raise FailureError(found["error"])
    for what, advice in (
        ("printed", "remove the output, or move it into a function"),
        ("touched", "move this into the function that needs it"),
        ("state", "move this into the function that needs it, and undo it there"),
    ):
        if found[what]:
            raise FailureError(f"{where}: when imported, it {'; '.join(found[what][:3])}; {advice}")


def neighbours(candidate: Candidate) -> None:
    """plugin.py leaves torch and the suite as they are for other methods: it patches nothing in them."""
    if patched := _traces(candidate.folder)["patched"]:
        raise FailureError(
            f"{candidate.folder / 'plugin.py'}: when imported, it replaces {', '.join(patched[:3])}; "
            f"other methods would compute with it; subclass or wrap instead"
        )


@cache
def _traces(folder: Path) -> dict[str, Any]:
    """What importing a method's plugin did, told by `tvqsr.testing.isolation`."""
    with tempfile.TemporaryDirectory(prefix="tvqsr-import-") as empty:
        answer = Path(empty).with_suffix(".json")
        command = [sys.executable, "-B", "-m", "tvqsr.testing.isolation", str(folder), str(answer)]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False, errors="replace")
        try:
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            message = f"{folder / 'plugin.py'}: importing it ended the process (exit code {done.returncode}): {last}"
            return {"error": message}
        finally:
            answer.unlink(missing_ok=True)
    return found
