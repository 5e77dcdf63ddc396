"""`method.yaml`: all that the graph of jobs ever reads of a method, and where methods are found."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tvqsr.errors import UserError
from tvqsr.plan.schema import Strict, parse, read_yaml, suggestion
from tvqsr.plan.training import Training

ENTRY_POINTS = "tvqsr.methods"
PACKAGE = Path(__file__).resolve().parent.parent
BUILT_IN = (PACKAGE / "methods", PACKAGE.parent / "baselines")

Value = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Setting(Strict):
    """A setting of a stage: its published value and what else it may be.

    In YAML a bare value stands for `{default: value}`.
    """

    default: Value
    choices: tuple[Value, ...] | None = Field(default=None, strict=False)
    minimum: float | None = Field(default=None, strict=False)

    def check(self, value: Any, where: str) -> Value:
        """Return `value` if this setting may take it. Raises UserError naming `where`."""
        expected = type(self.default)
        if expected is float and type(value) is int:
            value = float(value)
        if type(value) is not expected:
            raise UserError(f"{where}: expected {expected.__name__}, found {value!r}")
        if self.choices is not None and value not in self.choices:
            raise UserError(f"{where}: expected one of {', '.join(map(str, self.choices))}, found {value!r}")
        if self.minimum is not None and isinstance(value, int | float) and value < self.minimum:
            raise UserError(f"{where}: expected at least {self.minimum:g}, found {value!r}")
        return value


def _spelled_out(value: Any) -> Any:
    return value if isinstance(value, dict) else {"default": value}


class StageSpec(Strict):
    """One training run of a method, as published."""

    trains_on: Literal["hr", "pairs"]
    needs: tuple[str, ...] = Field(default=(), strict=False)
    """Stages whose weights it starts from or freezes: `tokenizer`, or `method.stage` for another method's."""
    settings: dict[str, Annotated[Setting, BeforeValidator(_spelled_out)]] = {}
    training: Training


class Paper(Strict):
    """Where a method was published."""

    url: str
    venue: str
    title: str


class MethodSpec(Strict):
    """A method, as its folder describes it."""

    name: Name
    title: str
    kind: Literal["control", "regression", "gan", "vq", "released"]
    paper: Paper | None = None
    licence: str = "ours (Apache-2.0)"
    scale: Annotated[int, Field(ge=1)] = 4
    reads: Literal["lr", "hr"] = "lr"
    """What a method without stages is given; with stages it follows from what the upscaling stage trains on."""
    stages: dict[Name, StageSpec] = {}
    upscales_with: Name | None = None
    differs: str
    """One sentence on what differs from the publication."""


@dataclass(frozen=True)
class Method:
    """A method's description and its folder."""

    spec: MethodSpec
    folder: Path

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def plugin(self) -> Path:
        """The method's code; what else of its folder belongs to it, `plugin.py` imports."""
        return self.folder / "plugin.py"


def method_folders() -> dict[str, Path]:
    """Folder of every method that can be found.

    The package's own, `baselines/`, and installed packages' (entry point group `tvqsr.methods`).
    """
    folders = {path.parent.name: path.parent for room in BUILT_IN for path in sorted(room.glob("*/method.yaml"))}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        module = importlib.util.find_spec(point.value)
        locations = module.submodule_search_locations if module else None
        if not locations:
            raise UserError(
                f"entry point {point.name} of {ENTRY_POINTS}: `{point.value}` is not an importable package folder"
            )
        if point.name in folders:
            raise UserError(
                f"method `{point.name}` is given twice: {folders[point.name]} and {locations[0]}; rename one"
            )
        folders[point.name] = Path(locations[0])
    return folders


def load_method(name: str, where: str) -> Method:
    """Read one method by name; methods that are not asked for are not read, so a broken one breaks nobody else."""
    folders = method_folders()
    if name not in folders:
        raise UserError(f"{where}: unknown method `{name}`{suggestion(name, folders)}")
    return read_method(folders[name])


def read_method(folder: Path) -> Method:
    """Read `method.yaml` of a folder. Raises UserError for anything inconsistent in it."""
    path = folder / "method.yaml"
    spec = parse(MethodSpec, read_yaml(path), str(path))
    if spec.name != folder.name:
        raise UserError(f"{path}: name is `{spec.name}` but the folder is `{folder.name}`; they must be equal")
    if bool(spec.stages) != (spec.upscales_with is not None):
        raise UserError(f"{path}: `upscales_with` names a stage exactly when there are stages")
    if spec.upscales_with is not None and spec.upscales_with not in spec.stages:
        raise UserError(
            f"{path}: upscales_with: unknown stage `{spec.upscales_with}`{suggestion(spec.upscales_with, spec.stages)}"
        )
    for stage, declared in spec.stages.items():
        for need in declared.needs:
            if "." not in need and need not in spec.stages:
                raise UserError(f"{path}: stages.{stage}.needs: unknown stage `{need}`{suggestion(need, spec.stages)}")
    return Method(spec, folder)
