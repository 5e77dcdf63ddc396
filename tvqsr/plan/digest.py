"""Digests: of values (what a run computes) and of source code (what computes it)."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.plan.method import PACKAGE

NUMERIC_ROOMS = ("data", "nn", "train", "upscale", "score", "report")
"""Rooms of the package whose code computes results.

`plan` and the command line only decide and print: editing them remakes nothing.
"""


def digest(value: Any) -> str:
    """Twelve hex digits of a JSON-like value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def source_digest(*starts: Path) -> str:
    """Digest of the code of `starts` (files or plugin folders) and of all they import from the numeric rooms.

    Comments, docstrings and layout do not count. Files are named by their last two parts only: a checkout may move.
    """
    return digest(sorted([*file.parts[-2:], _read(file)[0]] for file in sources(*starts)))


def sources(*starts: Path) -> set[Path]:
    """Files of `starts` and of all they import from the numeric rooms, directly or not."""
    seen: set[Path] = set()
    waiting = [file for start in starts for file in _python_files(start)]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [found for name in _read(file)[1] if (found := _module_file(name))]
    return seen


def forget_sources() -> None:
    """Read files anew: a process that outlives an edit (a test) must say so."""
    _read.cache_clear()


@cache
def _read(file: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of a file's code, and the modules it imports."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        # A plugin that cannot be parsed must break its own jobs, not the graph of all.
        return digest(["unreadable", str(error)]), ()
    imports = _imported(tree)
    return _normalised(tree), imports


def _python_files(start: Path) -> list[Path]:
    return sorted(start.rglob("*.py")) if start.is_dir() else [start]


def _normalised(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [child for child in node.body if not _is_bare_string(child)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(tree: ast.Module) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(names))


def _module_file(name: str) -> Path | None:
    parts = name.split(".")
    if len(parts) < 2 or parts[0] != PACKAGE.name or parts[1] not in NUMERIC_ROOMS:
        return None
    path = PACKAGE.joinpath(*parts[1:])
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)
