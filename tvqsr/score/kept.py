"""Features of references on disk, for the methods that are scored after: bounded, checked, safe for several jobs."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from tvqsr.console import say
from tvqsr.errors import UserError
from tvqsr.files import read_sealed, remove_leftovers, sha256, write_sealed
from tvqsr.score.picture import Arrays, MakeArrays

LIMIT = 2 * 1024**3
"""Bytes that a folder may hold; what does not fit is computed each time."""

WRITING = Lock()
"""One thread of a process at a time: what a process was writing counts as left over to itself."""


@dataclass(frozen=True)
class Kept:
    """A folder of arrays, each file named by the digest of all that it was computed from.

    It saves time and decides nothing: where it cannot be listed or written to, all is computed each time.
    """

    folder: Path
    limit: int = LIMIT

    def of_file(self, file: Path) -> Callable[[Any, MakeArrays], Arrays]:
        """The same for what is made from an image file and something else."""
        digest = sha256(file)
        return lambda made_from, make: self.once([digest, made_from], make)

    def once(self, made_from: Any, make: MakeArrays) -> Arrays:
        """Arrays of that origin (anything JSON can say), made if they are not here or damaged."""
        name = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / f"{name}.features"
        found = _read(path)
        if found is not None:
            return found
        made = make()
        try:
            self._write(path, made)
        except (OSError, UserError) as error:
            _tell_once(f"{self.folder}: features of references are not kept there ({error})")
        return made

    def _write(self, path: Path, arrays: Arrays) -> None:
        with WRITING:
            if self._used() + sum(array.nbytes for array in arrays) > self.limit:
                return
            content = io.BytesIO()
            np.savez(content, *arrays)
            write_sealed(path, content.getbuffer())

    def _used(self) -> int:
        if not self.folder.is_dir():
            return 0
        remove_leftovers(self.folder)
        return sum(_size(file) for file in self.folder.iterdir())


def _size(file: Path) -> int:
    """Bytes of a file; none of one that another job has just renamed or removed."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@cache
def _tell_once(what: str) -> None:
    say(what)


def _read(path: Path) -> Arrays | None:
    """Arrays of a file; None where it is absent, or not what was written."""
    try:
        content = read_sealed(path)
    except OSError:
        return None
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return [stored[f"arr_{number}"] for number in range(len(stored.files))]
