"""Reading a preset: its file, what it extends, what the command line lays over it, and whether it makes sense."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.plan.catalogue import sides_of
from tvqsr.plan.method import PACKAGE
from tvqsr.plan.preset import Preset
from tvqsr.plan.protocols import check_protocol
from tvqsr.plan.schema import parse, read_yaml, suggestion

PRESETS = PACKAGE.parent / "workflow" / "presets"


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
    wanted = changes.get("entries")
    chosen = isinstance(wanted, str | list)
    content = _merged(_content(path), {key: value for key, value in changes.items() if key != "entries" or not chosen})
    preset = _with_own_photos(parse(Preset, content, str(path)), str(path))
    if isinstance(wanted, str | list):
        preset = _with_entries(preset, wanted, str(path))
    _check_datasets(preset, str(path))
    _check_protocols(preset.protocols, f"{path}: protocols")
    for dataset, spec in preset.datasets.items():
        _check_protocols(spec.protocols, f"{path}: datasets.{dataset}.protocols")
    _check_tracks(preset, str(path))
    _check_entries(preset, str(path))
    preset = _with_made_rows(preset)
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


def _with_entries(preset: Preset, wanted: str | list[Any], where: str) -> Preset:
    """A preset with the entries that `--config entries=...` asks for: `all`, or names in a list."""
    known = preset.entries | preset.more_entries
    names = list(known) if wanted == "all" else [wanted] if isinstance(wanted, str) else wanted
    for name in names:
        if name not in known:
            raise UserError(f"{where}: entries: unknown entry `{name}`{suggestion(str(name), [*known, 'all'])}")
    if not names:
        raise UserError(f"{where}: entries: at least one expected")
    entries = {name: known[name] for name in known if name in names}
    # Those left out are kept, so that tables may name them; those asked for, so that figures tell which they are.
    left_out = {name: spec for name, spec in preset.entries.items() if name not in entries}
    return preset.model_copy(update={"entries": entries, "more_entries": preset.more_entries | left_out})


def _with_own_photos(preset: Preset, where: str) -> Preset:
    """`train_photos` put in place of the training sets' own photos."""
    if preset.train_photos is None:
        return preset
    training = preset.training_sets
    if not training:
        raise UserError(f"{where}: train_photos: nothing is trained in this preset; leave it out")
    replaced = {
        name: spec.model_copy(update={"source": None, "hub": None, "folder": preset.train_photos})
        if name in training
        else spec
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


def _check_entries(preset: Preset, where: str) -> None:
    """Entries of one name given once; tables and entries that name only what there is."""
    known = preset.entries | preset.more_entries
    for name in preset.entries.keys() & preset.more_entries.keys():
        if preset.entries[name] != preset.more_entries[name]:
            raise UserError(f"{where}: more_entries: `{name}` is in `entries`, too")
    for name, table in preset.tables.items():
        for entry in table.entries:
            if entry not in known:
                raise UserError(f"{where}: tables.{name}: unknown entry `{entry}`{suggestion(entry, known)}")
    for name, spec in known.items():
        for testset in spec.test_on or ():
            if testset not in preset.test_on:
                hint = suggestion(testset, preset.test_on)
                raise UserError(f"{where}: entries.{name}.test_on: `{testset}` is not in `test_on`{hint}")
        if spec.track is not None and spec.track not in preset.tracks:
            hint = suggestion(spec.track, preset.tracks)
            raise UserError(f"{where}: entries.{name}.track: unknown track `{spec.track}`{hint}")


def _check_tracks(preset: Preset, where: str) -> None:
    """Tracks of known sets, none in two of them; where there are tracks, every test set in one."""
    for track, sets in preset.tracks.items():
        for testset in sets:
            if testset not in preset.datasets:
                hint = suggestion(testset, preset.datasets)
                raise UserError(f"{where}: tracks.{track}: unknown dataset `{testset}`{hint}")
            if (other := preset.track_of(testset)) != track:
                raise UserError(
                    f"{where}: tracks: `{testset}` is in `{other}` and in `{track}`, whose entries a table would mix; "
                    f"give it one track"
                )
    for testset in preset.test_on if preset.tracks else ():
        if preset.track_of(testset) is None:
            raise UserError(f"{where}: test_on: `{testset}` is in no track; name it under one of {list(preset.tracks)}")


def _with_made_rows(preset: Preset) -> Preset:
    """A preset whose tables hold only rows that are made.

    A table that lacks some needs two others to compare and, if it is of further entries, one of those; but for `main`.
    """
    tables = {}
    for name, table in preset.tables.items():
        rows = tuple(entry for entry in table.entries if entry in preset.entries)
        of_more = preset.more_entries.keys() & set(table.entries)
        if rows == table.entries or name == "main" or (len(rows) > 1 and (not of_more or of_more & set(rows))):
            tables[name] = table.model_copy(update={"entries": rows})
    return preset.model_copy(update={"tables": tables})


def _check_protocols(names: tuple[str, ...] | None, where: str) -> None:
    """Known names, each once, and at least one; None stands for those of the preset."""
    if names is None:
        return
    for name in names:
        check_protocol(name, where)
    if not names:
        raise UserError(f"{where}: at least one expected; leave the key out for the preset's")
    if len(set(names)) != len(names):
        raise UserError(f"{where}: each may be given once, found {list(names)}")


def _check_datasets(preset: Preset, where: str) -> None:
    training = preset.training_sets
    for used in (*sorted(training), *preset.test_on):
        if used not in preset.datasets:
            raise UserError(f"{where}: unknown dataset `{used}`{suggestion(used, preset.datasets)}")
    for name, dataset in preset.datasets.items():
        given = [dataset.source is not None, dataset.hub is not None, bool(dataset.folder or dataset.lr_folder)]
        if sum(given) != 1:
            raise UserError(f"{where}: datasets.{name}: give either `source`, `hub`, or `folder` and/or `lr_folder`")
        if name in training and dataset.store == "files" and "LR" in sides_of(dataset):
            raise UserError(f"{where}: datasets.{name}: with `store: files` given LR is not read; leave out `store`")
        _check_shares(preset, name, f"{where}: datasets.{name}.may_share")


def _check_shares(preset: Preset, dataset: str, where: str) -> None:
    """Only a training set may share photos, and only with test sets."""
    allowed = preset.datasets[dataset].may_share
    if allowed and dataset not in preset.training_sets:
        raise UserError(f"{where}: is for training sets, and nothing is trained on `{dataset}`")
    for testset in allowed:
        if testset not in preset.test_on:
            raise UserError(f"{where}: `{testset}` is not in `test_on`{suggestion(testset, preset.test_on)}")
