"""Checks of what importing `plugin.py` does beside defining things, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.testing.outcome import FailureError

if TYPE_CHECKING:
    from tvqsr.testing.candidate import Candidate


def imported(candidate: Candidate) -> None:
    """plugin.py is imported without a trace: nothing printed, written, fetched or set, no random number drawn.

    The suite plans, trains and scores many methods; what one leaves behind, others would compute with.
    """
    where, found = candidate.folder / "plugin.py", candidate.traces
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
    if patched := candidate.traces["patched"]:
        raise FailureError(
            f"{candidate.folder / 'plugin.py'}: when imported, it replaces {', '.join(patched[:3])}; "
            f"other methods would compute with it; subclass or wrap instead"
        )


def traces_of(*folders: Path) -> dict[Path, dict[str, Any]]:
    """What importing each of some methods' plugins did, told by `tvqsr.testing.isolation` in one process of its own."""
    with tempfile.TemporaryDirectory(prefix="tvqsr-import-") as empty:
        answer = Path(empty).with_suffix(".json")
        command = [sys.executable, "-B", "-m", "tvqsr.testing.isolation", str(answer), *map(str, folders)]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False, errors="replace")
        try:
            found = json.loads(answer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            told = f"importing it ended the process (exit code {done.returncode}): {last}"
            return {folder: {"error": f"{folder / 'plugin.py'}: {told}"} for folder in folders}
        finally:
            answer.unlink(missing_ok=True)
    return dict(zip(folders, found, strict=True))
