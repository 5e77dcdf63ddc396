"""`method.yaml`: all that the graph of jobs ever reads of a method, and where methods are found."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tvqsr.errors import UserError
from tvqsr.plan.schema import Number, Strict, parse, read_yaml, suggestion, tuple_of
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
    choices: Annotated[tuple[Value, ...] | dict[str, str] | None, BeforeValidator(tuple_of)] = None
    """What it may be: a list, or each with a sentence on what it is and how it differs from its publication."""
    minimum: Number | None = None

    def check(self, value: Any, where: str) -> Value:
        """Return `value` if this setting may take it. Raises UserError naming `where`."""
        expected = type(self.default)
        if expected is float and type(value) is int:
            value = float(value)
        if type(value) is not expected:
            raise UserError(f"{where}: expected {expected.__name__}, found {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{where}: expected a finite number, found {value!r}")
        if self.choices is not None and value not in self.choices:
            raise UserError(f"{where}: expected one of {', '.join(map(str, self.choices))}, found {value!r}")
        if self.minimum is not None and isinstance(value, int | float) and value < self.minimum:
            raise UserError(f"{where}: expected at least {self.minimum:g}, found {value!r}")
        return value


def _spelled_out(value: Any) -> Any:
    return value if isinstance(value, dict) else {"default": value}


class ReleasedSpec(Strict):
    """Weights of a stage that its authors released: a file on the Hugging Face Hub, or at an address."""

    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """Repository, `owner/name`."""
    url: Annotated[str, Field(pattern=r"^https://")] | None = None
    """Address of the file, where it is not on the Hub."""
    file: str
    revision: str = "main"
    """Of the repository."""

    @model_validator(mode="after")
    def _one_place(self) -> ReleasedSpec:
        if (self.hub is None) == (self.url is None):
            raise ValueError("either `hub` or `url` expected, not both")
        return self

    @property
    def identity(self) -> dict[str, str]:
        """What says which file it is."""
        place = {"url": self.url} if self.url else {"hub": self.hub or "", "revision": self.revision}
        return place | {"file": self.file}

    @property
    def place(self) -> str:
        """Where it is to be had, in words."""
        return self.url or f"{self.hub}/{self.file} on the Hugging Face Hub"


class Resources(Strict):
    """What the training of a stage asks of a cluster, at the published size and budget; no part of what is computed."""

    hours: Annotated[Number, Field(gt=0)] = 24.0
    """On one H100: twice what `tvqsr estimate` tells, rounded up. A smaller budget asks for less, in proportion."""
    memory_mb: Annotated[int, Field(gt=0)] = 16000
    """Of the host, where a GPU computes: 6000 for Python, torch with CUDA and photos being read, and three times a
    checkpoint, which is in memory that often while it is read; rounded up to a thousand."""


class StageSpec(Strict):
    """One training run of a method, as published."""

    trains_on: Literal["hr", "pairs"]
    reads: Literal["lr", "hr"] | None = None
    """What its networks are given to make an image, where that is not what follows from `trains_on`: an auto-encoder
    may want LR in training alone."""
    needs: Annotated[tuple[str, ...], BeforeValidator(tuple_of)] = ()
    """Stages whose weights it starts from or freezes: `tokenizer`, or `method.stage` for another method's."""
    settings: dict[str, Annotated[Setting, BeforeValidator(_spelled_out)]] = {}
    training: Training
    released: ReleasedSpec | None = None
    """The authors' own weights; `released` of plugin.py reads them."""
    resources: Resources = Resources()

    @property
    def image_input(self) -> Literal["lr", "hr"]:
        """What its networks are given to make an image: `hr` (a reconstruction) or `lr`."""
        return self.reads or ("hr" if self.trains_on == "hr" else "lr")


class Paper(Strict):
    """Where a method was published."""

    url: str
    venue: str
    """With the year: `CVPR 2022`."""
    title: str
    authors: Annotated[tuple[str, ...], BeforeValidator(tuple_of)] = ()
    """As they sign it: given names first. Empty where they are not known."""


class MethodSpec(Strict):
    """A method, as its folder describes it."""

    name: Name
    title: str
    kind: Literal["control", "regression", "gan", "vq", "released"]
    paper: Paper | None = None
    builds_on: Annotated[tuple[Paper, ...], BeforeValidator(tuple_of)] = ()
    """Further papers that who uses this method should cite."""
    licence: str = "ours (Apache-2.0)"
    scale: Annotated[int, Field(ge=1)] = 4
    crop_multiple: Annotated[int, Field(ge=1)] = 4
    """What the side of a training crop must be a multiple of."""
    given: Literal["checkpoint", "images"] | None = None
    """What an entry must give a method that has neither stages nor weights: somebody's checkpoint, or finished outputs.
    """
    reads: Literal["lr", "hr"] = "lr"
    """What a method without stages is given; with stages it follows from what the upscaling stage trains on."""
    stages: dict[Name, StageSpec] = {}
    upscales_with: Name | None = None
    tiny: dict[Name, dict[str, Value]] = {}
    """By stage, the smallest settings that still exercise the method: what `tvqsr check-method` and tests train."""
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


def method_folders() -> dict[str, Path | UserError]:
    """Folder of every method: the package's own, `baselines/`, and installed packages' (entry points `tvqsr.methods`).

    An entry point that leads nowhere, or to a name that is taken, stands for the error that asking for it will raise.
    """
    folders: dict[str, Path | UserError] = {
        path.parent.name: path.parent for room in BUILT_IN for path in sorted(room.glob("*/method.yaml"))
    }
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        found = _installed_folder(point.value)
        if found is None:
            message = f"entry point {point.name} of {ENTRY_POINTS}: there is no package folder `{point.value}`"
            folders.setdefault(point.name, UserError(message))
        elif point.name in folders:
            folders[point.name] = UserError(f"method `{point.name}` is given twice: {folders[point.name]} and {found}")
        else:
            folders[point.name] = found
    return folders


def _installed_folder(module: str) -> Path | None:
    """Folder of a package, found without importing it or its parents."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location).joinpath(*rest)
        if folder.is_dir():
            return folder
    return None


def load_method(name: str, where: str) -> Method:
    """Read one method by name; methods that are not asked for are not read, so a broken one breaks nobody else."""
    folders = method_folders()
    if name not in folders:
        raise UserError(f"{where}: unknown method `{name}`{suggestion(name, folders)}")
    folder = folders[name]
    if isinstance(folder, UserError):
        raise folder
    return read_method(folder)


def read_method(folder: Path) -> Method:
    """Read `method.yaml` of a folder. Raises UserError for anything inconsistent in it."""
    path = folder / "method.yaml"
    spec = parse(MethodSpec, read_yaml(path), str(path))
    if spec.name != folder.name:
        raise UserError(f"{path}: name is `{spec.name}` but the folder is `{folder.name}`; they must be equal")
    if bool(spec.stages) != (spec.upscales_with is not None):
        raise UserError(f"{path}: `upscales_with` names a stage exactly when there are stages")
    if spec.given and spec.stages:
        raise UserError(f"{path}: `given` is for a method without stages: there is nothing to train")
    if spec.upscales_with is not None and spec.upscales_with not in spec.stages:
        raise UserError(
            f"{path}: upscales_with: unknown stage `{spec.upscales_with}`{suggestion(spec.upscales_with, spec.stages)}"
        )
    for stage, declared in spec.stages.items():
        for need in declared.needs:
            if "." not in need and need not in spec.stages:
                raise UserError(f"{path}: stages.{stage}.needs: unknown stage `{need}`{suggestion(need, spec.stages)}")
    _check_tiny(spec, f"{path}: tiny")
    return Method(spec, folder)


def _check_tiny(spec: MethodSpec, where: str) -> None:
    """Refuse settings that the stages do not have, or may not take."""
    for stage, values in spec.tiny.items():
        if stage not in spec.stages:
            raise UserError(f"{where}: unknown stage `{stage}`{suggestion(stage, spec.stages)}")
        settings = spec.stages[stage].settings
        for name, value in values.items():
            if name not in settings:
                raise UserError(f"{where}.{stage}: unknown setting `{name}`{suggestion(name, settings)}")
            settings[name].check(value, f"{where}.{stage}.{name}")
