"""What pyiqa's metrics are called and of what kind they are, read without importing it, which takes torch."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.plan.schema import suggestion

PREFIX = "pyiqa:"
"""How the names of protocols begin that are any metric of pyiqa's: `pyiqa:topiq_nr`."""
OWN = {"FID": "`fid`, `kid` or their patch variants", "InceptionScore": "`fid` or `kid`"}
"""Its measures of whole sets, which are not scored through it, and what is instead."""
TABLE = "DEFAULT_CONFIGS"


@dataclass(frozen=True)
class ListedMetric:
    """A metric of pyiqa's list."""

    name: str
    needs_hr: bool
    higher_is_better: bool
    kind: str
    """Its class in pyiqa."""
    options: Mapping[str, Any]
    """What pyiqa's list gives that class beside its own defaults."""

    def __str__(self) -> str:
        """`SSIM(downsample=False, test_y_channel=True)`."""
        return f"{self.kind}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"


@cache
def listed_metrics() -> dict[str, ListedMetric]:
    """All of the installed pyiqa's, by name. Raises UserError if its list is not where and what it was."""
    package = find_spec("pyiqa")
    assert package is not None and package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "default_model_configs.py"
    try:
        return {name: _listed(name, about) for name, about in _table(path).items()}
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: pyiqa's list of metrics cannot be read ({error}); install another pyiqa") from None


def listed_metric(protocol: str, where: str) -> ListedMetric:
    """The metric of a protocol `pyiqa:NAME`. Raises UserError for a name that pyiqa does not have."""
    name = protocol.removeprefix(PREFIX)
    known = listed_metrics()
    if name not in known:
        raise UserError(f"{where}: pyiqa has no metric `{name}`{suggestion(name, known)}")
    if instead := OWN.get(known[name].kind):
        raise UserError(f"{where}: `{protocol}` is of whole sets, which are scored by {instead}")
    return known[name]


def _table(path: Path) -> dict[str, dict[str, Any]]:
    """The dictionary that the module calls DEFAULT_CONFIGS, as `ast.literal_eval` reads it."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [TABLE]:
            value = statement.value.args[0] if isinstance(statement.value, ast.Call) else statement.value
            table: dict[str, dict[str, Any]] = ast.literal_eval(value)
            return table
    raise ValueError(f"it sets no {TABLE}")


def _listed(name: str, about: dict[str, Any]) -> ListedMetric:
    better = not about.get("lower_better", False)
    options = dict(about["metric_opts"])
    kind = options.pop("type")
    return ListedMetric(name, about["metric_mode"] == "FR", better, kind, options)
