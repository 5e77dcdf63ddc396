"""Digests: of values (what a run computes) and of source code (what computes it)."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.plan.method import PACKAGE

UNNUMERIC = ("plan", "cli", "console", "provenance", "errors", "plugins")
"""Modules that only decide, load and print: editing them remakes nothing. All others compute results."""


def digest(value: Any) -> str:
    """Twelve hex digits of a JSON-like value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def source_digest(*starts: Path) -> str:
    """Digest of the code of `starts` and of all they import from this package (its numeric part) or from their own.

    Comments, docstrings and layout do not count. Files are named by their last two parts only: a checkout may move.
    """
    return digest(sorted([*file.parts[-2:], _read(file)[0]] for file in sources(*starts)))


def sources(*starts: Path) -> set[Path]:
    """`starts` and all that they import from this package (its numeric part) or from their own, directly or not."""
    seen: set[Path] = set()
    waiting = list(starts)
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _read(file)[1]
    return seen


def forget_sources() -> None:
    """Read files anew: a process that outlives an edit (a test) must say so."""
    _read.cache_clear()


@cache
def _read(file: Path) -> tuple[str, tuple[Path, ...]]:
    """Digest of a file's code, and the files it imports."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        # A plugin that cannot be read must break its own jobs, not the graph of all.
        return digest(["unreadable", type(error).__name__]), ()
    imported = tuple(_imported(tree, file))
    return _normalised(tree), imported


def _normalised(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [child for child in node.body if not _is_bare_string(child)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(tree: ast.Module, file: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            base = None
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
            base = file.parents[node.level - 1] if node.level else None
        else:
            continue
        for name in names:
            found = _absolute(name, file) if base is None else _module_file(base, name)
            if found:
                yield found


def _absolute(name: str, file: Path) -> Path | None:
    """File of a module imported by its full name: of this package's numeric part, or of the importing file's own."""
    package, _, rest = name.partition(".")
    if package == PACKAGE.name:
        return _module_file(PACKAGE, rest) if rest.partition(".")[0] not in UNNUMERIC else None
    return _module_file(file.parent, rest) if package == file.parent.name and rest else None


def _module_file(base: Path, name: str) -> Path | None:
    path = base.joinpath(*name.split(".")) if name else base
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)
