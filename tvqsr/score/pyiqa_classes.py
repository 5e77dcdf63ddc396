"""What pyiqa's classes say of themselves beside its list of metrics: defaults and libraries, read without importing it.

Some of them cannot be imported without packages that are not here, and a definition must not depend on that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from tvqsr.errors import UserError

ARCHS = "pyiqa.archs."
HELPERS = "arch_util"
"""A module that all of them import; what it imports tells nothing of a metric."""


@dataclass(frozen=True)
class PyiqaClass:
    """A class of pyiqa, by its source."""

    defaults: Mapping[str, str]
    """Of each argument that has one, as it is written there."""
    libraries: tuple[str, ...]
    """Distributions, installed here, that its module and those of pyiqa's networks that it builds on import."""


@cache
def pyiqa_class(kind: str) -> PyiqaClass:
    """The class of that name. Raises UserError where pyiqa's source has none."""
    for path in sorted(_folder().glob("*_arch.py")):
        source = path.read_text(encoding="utf-8")
        if f"class {kind}(" not in source:
            continue
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ClassDef) and statement.name == kind:
                return PyiqaClass(_defaults(statement), _libraries(path))
    raise UserError(f"{_folder()}: has no class `{kind}` of pyiqa's list of metrics; install another pyiqa")


def _folder() -> Path:
    package = find_spec("pyiqa")
    assert package is not None and package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "archs"


def _defaults(found: ast.ClassDef) -> dict[str, str]:
    for statement in found.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            given = statement.args
            positional = given.args[len(given.args) - len(given.defaults) :]
            pairs = [*zip(positional, given.defaults, strict=True)]
            named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
            pairs += [(argument, value) for argument, value in named if value is not None]
            return {argument.arg: ast.unparse(value) for argument, value in pairs}
    return {}


def _libraries(path: Path) -> tuple[str, ...]:
    distributions = _distributions()
    seen, left, roots = {HELPERS}, [path.stem], set[str]()
    while left:
        module = left.pop()
        if module in seen or not (file := _folder() / f"{module}.py").is_file():
            continue
        seen.add(module)
        for name in _imported(file):
            if name.startswith(ARCHS):
                left.append(name.removeprefix(ARCHS).partition(".")[0])
            else:
                roots.add(name.partition(".")[0])
    return tuple(sorted({distributions[root][0] for root in roots if root in distributions}))


@cache
def _distributions() -> dict[str, list[str]]:
    """Of each importable name, what it came with."""
    return dict(packages_distributions())


def _imported(file: Path) -> Iterator[str]:
    """Full names of the modules that a module of pyiqa.archs imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{ARCHS if node.level else ''}{node.module or node.names[0].name}"
