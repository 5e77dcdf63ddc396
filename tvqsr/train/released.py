"""The authors' released weights as a finished run: fetched or given by hand, checked, renamed, never run as code."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tvqsr.console import say
from tvqsr.contract import Trained
from tvqsr.csv_files import write_csv
from tvqsr.errors import UserError
from tvqsr.fetch.archive import NotFetchedError, fetch_archive
from tvqsr.fetch.record import record_path
from tvqsr.files import read_json, sha256, write_json, written_beside
from tvqsr.nn.safe_load import read_safely
from tvqsr.plan import Plan, Run
from tvqsr.plan.archive import ArchiveSpec
from tvqsr.plan.method import ReleasedSpec
from tvqsr.plugins import load_plugin
from tvqsr.provenance import provenance
from tvqsr.train.weights import save_run

ARRIVING = ".arriving"
"""Folder below `downloads/` of files that are on their way."""
WRAPPERS = ("params_ema", "params", "state_dict")
"""Under what a checkpoint may hold its weights; the running average first, since that is what was published."""


def import_released(plan: Plan, run_name: str, seed: int, given: Path | None = None) -> None:
    """Turn a stage's checkpoint into a run's `weights.safetensors`.

    It is the file `given` by hand, or one below `downloads/`, fetched from the Hub if it is not there. Raises UserError
    if it cannot be fetched, is another than the one first seen, or does not fit the networks.
    """
    run = plan.run(run_name)
    spec = run.spec.released
    assert spec is not None
    place = plan.paths.download(spec.file)
    if given is None and not place.is_file():
        _fetch(spec, place)
    path = given or place
    origin = _checked(path, place, spec)
    folder = plan.paths.run(run_name, seed)
    if _is_imported(folder, plan.train_key(run_name), origin):
        say(f"[{run.method.name}.{run.stage}] {path.name} is imported already")
        return
    try:
        weights = load_plugin(run.method).released(_hollow(run), read_checkpoint(path))
    except UserError as error:
        remedy = "" if given else f"; delete {path} to fetch it again"
        raise UserError(f"{path}: {error}{remedy}") from None
    # Only what fits is kept and remembered: a failed download must not stand in the way of the right file.
    _keep(path, place, origin)
    write_csv(folder / "curve.csv", "step\n")
    save_run(folder, weights, run.name, _record(run, seed, plan.train_key(run_name), origin, weights))
    say(f"[{run.method.name}.{run.stage}] {len(weights)} tensors from {path.name}, sha256 {origin['sha256']}")


def import_by_hand(plan: Plan, method: str, file: Path, stage: str | None) -> None:
    """Put a checkpoint where the released runs of a plan look for it, and import it.

    Its stage is told by its name, or by `stage`.
    """
    runs = [run for run in plan.runs.values() if run.released and run.method.name == method]
    if not runs:
        raise UserError(f"preset {plan.name}: has no entry of `{method}` with `weights: released`")
    files = {run.stage: run.spec.released.file for run in runs if run.spec.released}
    wanted = [run for run in runs if run.stage == stage or (stage is None and files[run.stage] == file.name)]
    if not wanted:
        known = ", ".join(f"{name} ({expected})" for name, expected in files.items())
        raise UserError(f"{file}: of which stage of `{method}` it is must be told with --stage; known: {known}")
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    import_released(plan, wanted[0].name, plan.seeds_of(wanted[0].name)[0], file)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors of a PyTorch checkpoint by name. Raises UserError for anything but tensors: code is never run."""
    content = read_safely(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"expected tensors by name, at the top level or under {', '.join(WRAPPERS)}")
    return {str(name): value for name, value in content.items()}


def _fetch(spec: ReleasedSpec, path: Path) -> None:
    """By our own transfer, and not the Hub's, so that resuming and faults are the same everywhere."""
    try:
        # Not beside the checkpoint, where `_keep` writes the record of what was seen first.
        source = ArchiveSpec(addresses=(_address(spec, path),))
        fetched = fetch_archive(path.name, source, path.parent / ARRIVING, say)
        record_path(fetched).unlink()
        fetched.replace(path)
    except NotFetchedError as error:
        raise _not_fetched(spec, path, error.failures) from None
    except OSError as error:
        raise _not_fetched(spec, path, str(error)) from None


def _address(spec: ReleasedSpec, path: Path) -> str:
    from huggingface_hub import constants

    if spec.url:
        return spec.url
    if constants.HF_HUB_OFFLINE:
        raise _not_fetched(spec, path, "HF_HUB_OFFLINE is set")
    return f"{constants.ENDPOINT}/{spec.hub}/resolve/{spec.revision}/{spec.file}"


def _not_fetched(spec: ReleasedSpec, path: Path, why: str) -> UserError:
    return UserError(
        f"{spec.place}: cannot be fetched ({' '.join(why.split())[:200]}); "
        f"get it by hand and give it to `tvqsr import-weights`, or put it at {path}"
    )


def _checked(path: Path, place: Path, spec: ReleasedSpec) -> dict[str, Any]:
    """Where a checkpoint is from and its hash, which must be the one recorded when it was first seen, if it was."""
    record, found = _record_of(place), sha256(path)
    if not record.is_file():
        origin: dict[str, Any] = spec.identity | {"sha256": found}
        return origin | {"bytes": path.stat().st_size, "trust": "recorded when first seen"}
    stored: dict[str, Any] = read_json(record)
    if stored["sha256"] != found:
        raise UserError(
            f"{path}: is not the file first seen (sha256 {found}, recorded {stored['sha256']}); "
            f"if the new one is right, delete {record}"
        )
    return stored


def _keep(path: Path, place: Path, origin: dict[str, Any]) -> None:
    if not (place.exists() and place.samefile(path)):
        with written_beside(place) as beside:
            shutil.copyfile(path, beside)
    write_json(_record_of(place), origin)


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _hollow(run: Run) -> Trained:
    return Trained(run.stage, run.settings, {}, {name: _hollow(need) for name, need in run.needs.items()})


def _is_imported(folder: Path, key: str, origin: dict[str, Any]) -> bool:
    """Whether the same file was imported before by the same code: its weights are left alone, and so what follows."""
    if not all((folder / name).is_file() for name in ("run.json", "curve.csv", "weights.safetensors")):
        return False
    record = read_json(folder / "run.json")
    return bool(record["key"] == key and record["released"]["sha256"] == origin["sha256"])


def _record(run: Run, seed: int, key: str, origin: dict[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "run": run.name,
        "seed": seed,
        "settings": dict(run.settings),
        "released": origin,
        "key": key,
        "parameters": sum(value.numel() for value in weights.values()),
        "made_by": provenance(),
    }
