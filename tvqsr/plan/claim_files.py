"""Where published claims are written down: beside each method, and by source for those that have no method here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tvqsr.plan.method import PACKAGE, Method, method_folders

PUBLISHED = PACKAGE / "report" / "published"
"""Claims about entries that the suite has no method for, a file for each source."""


@dataclass(frozen=True)
class ClaimFile:
    """A file of claims."""

    name: str
    """Method or source: what its claims' names begin with."""
    path: Path
    used: bool
    """Whether it is of a method that the preset uses: such a file must be valid."""
    outside: bool = False
    """Whether its entries are nobody's here: a preset gives their outputs, or a checkpoint, under their names."""


def claim_files(methods: Mapping[str, Method]) -> list[ClaimFile]:
    """Files of the methods in use, of all others that can be found, and of sources; in this order."""
    found = {name: ClaimFile(name, method.folder / "claims.yaml", True) for name, method in methods.items()}
    for name, folder in method_folders().items():
        if isinstance(folder, Path):
            found.setdefault(name, ClaimFile(name, folder / "claims.yaml", False))
    own = [file for file in found.values() if file.path.is_file()]
    return own + [ClaimFile(path.stem, path, True, outside=True) for path in sorted(PUBLISHED.glob("*.yaml"))]


def claims_text(methods: Mapping[str, Method]) -> list[list[str]]:
    """[name, content] of every file of claims; of what is no text, what can be read of it."""
    return [[file.name, file.path.read_text(encoding="utf-8", errors="replace")] for file in claim_files(methods)]
