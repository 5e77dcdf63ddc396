"""The log beside LR of a folder: of which photo and how each was made, to make it again or to leave it as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from PIL import Image

from tvqsr.data.images import Pixels
from tvqsr.errors import UserError
from tvqsr.files import LEFTOVER, sha256, write_text, written_beside

LOG = "degradation.jsonl"
"""One line of JSON for each photo."""

Entry = dict[str, Any]


class LrLog:
    """LR files of a folder with their log.

    A line is written before its LR takes its name: an LR file without a line is somebody else's and never overwritten.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        """Open the log of LR of the photos of these names; what a killed process left half-written is removed.

        Raises UserError if the folder holds anything but LR of these photos that this log knows.
        """
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is no folder; name one for LR, which may be new")
        self.folder, self.path = folder, folder / LOG
        self.entries = _read(self.path)
        if folder.is_dir():
            self._refuse_others(names)
            self._remove_leftovers()
        self.write(names)

    def holds(self, entry: Entry) -> bool:
        """Whether LR of this photo is there and was made by exactly this."""
        old, path = self.entries.get(entry["name"]), self._lr(entry["name"])
        same = old is not None and all(old.get(key) == value for key, value in _plain(entry).items())
        return same and path.is_file() and old is not None and sha256(path) == old["lr_sha256"]

    def add(self, entry: Entry, lr: Pixels) -> None:
        """Write LR and its line."""
        with written_beside(self._lr(entry["name"])) as beside:
            Image.fromarray(lr).save(beside, format="PNG")
            whole = _plain({**entry, "lr_sha256": sha256(beside)})
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(whole))
                file.flush()
                os.fsync(file.fileno())
        self.entries[entry["name"]] = whole

    def write(self, names: Collection[str]) -> None:
        """Write one line for each of these photos that has one, in their order, and no others."""
        write_text(self.path, "".join(_line(self.entries[name]) for name in names if name in self.entries))

    def _lr(self, name: str) -> Path:
        return self.folder / f"{name}.png"

    def _refuse_others(self, names: Collection[str]) -> None:
        ours = {LOG, *(f"{name}.png" for name in names if name in self.entries)}
        for path in sorted(self.folder.iterdir()):
            if path.name not in ours and path.stem in self.entries and path.suffix == ".png":
                raise UserError(f"{path}: is LR of a photo that is no longer in HR's folder; remove it")
            if path.name not in ours and not _is_leftover(path):
                raise UserError(
                    f"{path}: is no LR that this command made of these photos; give a folder that is new or empty, "
                    f"or remove the file"
                )

    def _remove_leftovers(self) -> None:
        for path in self.folder.iterdir():
            if _is_leftover(path):
                path.unlink()


def _is_leftover(path: Path) -> bool:
    """Whether `written_beside` made it, in a process that was killed."""
    return LEFTOVER.fullmatch(path.name) is not None and path.is_file()


def _read(path: Path) -> dict[str, Entry]:
    """Lines by name, a later one for an earlier one; what a killed process wrote half is left out."""
    if not path.is_file():
        return {}
    entries: dict[str, Entry] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            entries[entry["name"]] = entry
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return entries


def _plain(entry: Entry) -> Entry:
    """As it will be read again: JSON has no tuples."""
    plain: Entry = json.loads(json.dumps(entry, allow_nan=False))
    return plain


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
