"""A preset: the scale of a whole run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tvqsr.errors import UserError
from tvqsr.plan.method import PACKAGE, Name
from tvqsr.plan.protocols import WEIGHTS
from tvqsr.plan.schema import Number, Strict, parse, read_yaml, suggestion, tuple_of

PRESETS = PACKAGE.parent / "workflow" / "presets"


class StageChange(Strict):
    """What a preset or an entry changes in a stage."""

    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}


Degradation = Literal["bicubic", "resshift_test"]


class DatasetSpec(Strict):
    """A set of photos: a `source` of the catalogue, or folders of the user's own (HR, LR, or both)."""

    source: str | None = None
    """A name in `tvqsr/data/sources.yaml`."""
    folder: str | None = None
    """A folder of HR photos; those in folders inside it count, too."""
    lr_folder: str | None = None
    """A folder of LR photos, a fourth of HR in size and of the same names. Without `folder` the set has no HR."""
    degradation: Degradation = "bicubic"
    """How LR is made of HR where none is given: MATLAB's antialiased bicubic, or ResShift's test degradation."""
    store: Literal["pixels", "files"] = "pixels"
    """Of a training set: all pixels in one file, or photos decoded as they are needed (for sets beyond the disk)."""
    crop: Annotated[int, Field(ge=0)] | None = None
    """Border left out of PSNR and SSIM on this test set, instead of the preset's `crop`."""
    protocols: Annotated[tuple[str, ...], BeforeValidator(tuple_of)] | None = None
    """Protocols of this test set, instead of the preset's."""


class TrainingData(Strict):
    """Which dataset the stages train on."""

    hr: Name
    pairs: Name


class EntrySpec(Strict):
    """One row of the tables: a method with settings, under a name."""

    method: Name
    title: str | None = None
    upscales_with: Name | None = None
    """The stage that makes the images, if not the method's last.

    One that trains on HR alone gives the reconstruction of HR.
    """
    weights: Literal["trained", "released"] = "trained"
    """Weights trained here, or the authors' own, of the published configuration."""
    stages: dict[Name, StageChange] = {}


def _present(value: Any) -> Any:
    """A mapping without those of its keys that are null."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class TableSpec(Strict):
    """A table of its own: some entries, side by side."""

    title: str
    entries: Annotated[tuple[Name, ...], BeforeValidator(tuple_of), Field(min_length=1)]


class Runtime(Strict):
    """How the work is done; nothing here is part of a run's digest, since nothing here is part of what is computed."""

    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads of a job that runs networks."""
    gpus: Annotated[int, Field(ge=0, le=1)] = 1
    """1: such a job takes a GPU where there is one; 0: it stays on the CPU."""
    checkpoint_seconds: Annotated[Number, Field(gt=0)] = 60.0
    """Time between checkpoints of a training."""
    progress_seconds: Annotated[Number, Field(gt=0)] = 10.0
    """Time between progress lines of a training."""


class Preset(Strict):
    """Entries, datasets, seeds, budgets and widths of one run of the suite.

    In YAML, `extends: NAME` takes all from another preset, by name or path, but for what is given here.
    """

    description: str
    claims: Literal["values", "orderings"]
    """What of the published claims this scale can speak about."""
    downloads: bool
    """Whether metric weights that are absent may be fetched from the network."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    datasets: dict[Name, DatasetSpec]
    train_photos: str | None = None
    """A folder of photos to train on, in place of what `datasets` says of the training sets."""
    data_folder: str = "datasets"
    """Where sets lie that can only be got by hand: `<data_folder>/<source>/`."""
    train_on: TrainingData
    test_on: Annotated[tuple[Name, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    protocols: Annotated[tuple[str, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    crop: Annotated[int, Field(ge=0)] = 4
    """Border left out of PSNR and SSIM, in HR pixels."""
    efficiency: bool = False
    """Whether the cost of each entry (parameters, MACs, time, memory) is part of the whole run; it holds all cores."""
    runtime: Runtime = Runtime()
    training: dict[str, Any] = {}
    """Changes for every stage of every method: one budget for all."""
    methods: dict[Name, dict[Name, StageChange]] = {}
    """Changes for the stages of a method."""
    entries: Annotated[dict[Name, EntrySpec], BeforeValidator(_present), Field(min_length=1)]
    """Rows of the tables. `null` leaves out one of the preset that this one extends."""
    tables: Annotated[dict[Name, TableSpec], BeforeValidator(_present)] = {}
    """Tables by name. `main` holds all entries unless it is given here."""


def preset_path(name: str) -> Path:
    """File of a preset given by name (`mini`) or path (`mine/tiny.yaml`). Raises UserError if there is none."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UserError(f"preset {name}: no such file")
        return path
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        known = [p.stem for p in PRESETS.glob("*.yaml")]
        raise UserError(f"unknown preset `{name}`{suggestion(name, known)}; or give the path of a .yaml file")
    return path


def is_preset(name: str) -> bool:
    """Whether a preset of that name is shipped."""
    return (PRESETS / f"{name}.yaml").is_file()


def load_preset(name: str, changes: dict[str, Any]) -> tuple[str, Preset]:
    """Name and content of a preset with `changes` laid over it. Raises UserError for anything wrong in it."""
    path = preset_path(name)
    _check_name(path)
    preset = _with_own_photos(parse(Preset, _merged(_content(path), changes), str(path)))
    _check_datasets(preset, str(path))
    _check_protocols(preset.protocols, f"{path}: protocols")
    for dataset, spec in preset.datasets.items():
        _check_protocols(spec.protocols, f"{path}: datasets.{dataset}.protocols")
    for name, table in preset.tables.items():
        for entry in table.entries:
            if entry not in preset.entries:
                raise UserError(f"{path}: tables.{name}: unknown entry `{entry}`{suggestion(entry, preset.entries)}")
    for key, values in (("seeds", preset.seeds), ("test_on", preset.test_on)):
        if len(set(values)) != len(values):
            raise UserError(f"{path}: {key}: each may be given once, found {list(values)}")
    if min(preset.seeds) < 0:
        raise UserError(f"{path}: seeds: numbers >= 0 expected, found {list(preset.seeds)}")
    return path.stem, preset


def _content(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """YAML of a preset, laid over that of the preset that it `extends`. Raises UserError for a circle."""
    content = read_yaml(path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if path.resolve() in above:
        raise UserError(f"{path}: presets extend each other in a circle")
    if not isinstance(base, str):
        raise UserError(f"{path}: extends: expected the name or path of a preset, found {base!r}")
    return _merged(_content(preset_path(base), (*above, path.resolve())), content)


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `base`, mapping by mapping; anything but a mapping is replaced."""
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _with_own_photos(preset: Preset) -> Preset:
    """`train_photos` put in place of the training sets' own photos."""
    if preset.train_photos is None:
        return preset
    training = {preset.train_on.hr, preset.train_on.pairs}
    replaced = {
        name: spec.model_copy(update={"source": None, "folder": preset.train_photos}) if name in training else spec
        for name, spec in preset.datasets.items()
    }
    return preset.model_copy(update={"datasets": replaced})


def _check_name(path: Path) -> None:
    """A preset's results lie under its name: it must be a plain one, and not that of another preset."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", path.stem):
        raise UserError(f"{path}: a preset's name is made of letters, digits, `-` and `_`; rename the file")
    shipped = {p.stem for p in PRESETS.glob("*.yaml")}
    if path.stem in shipped | {"published"} and path.resolve().parent != PRESETS:
        raise UserError(f"{path}: its results would mix with those of the shipped `{path.stem}`; rename the file")


def _check_protocols(names: tuple[str, ...] | None, where: str) -> None:
    """Known names, each once, and at least one; None stands for those of the preset."""
    if names is None:
        return
    for name in names:
        if name not in WEIGHTS:
            raise UserError(f"{where}: unknown protocol `{name}`{suggestion(name, WEIGHTS)}")
    if not names:
        raise UserError(f"{where}: at least one expected; leave the key out for the preset's")
    if len(set(names)) != len(names):
        raise UserError(f"{where}: each may be given once, found {list(names)}")


def _check_datasets(preset: Preset, where: str) -> None:
    training = {preset.train_on.hr, preset.train_on.pairs}
    for used in (*sorted(training), *preset.test_on):
        if used not in preset.datasets:
            raise UserError(f"{where}: unknown dataset `{used}`{suggestion(used, preset.datasets)}")
    for name, dataset in preset.datasets.items():
        if (dataset.source is None) == (dataset.folder is None and dataset.lr_folder is None):
            raise UserError(f"{where}: datasets.{name}: give either `source`, or `folder` and/or `lr_folder`")
        if name in training and dataset.lr_folder is not None:
            raise UserError(
                f"{where}: datasets.{name}: `lr_folder` is for test sets; LR of a training set is made here"
            )
