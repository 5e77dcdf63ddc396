"""A plan beside its results, so that trained entries can be used and checked wherever the folder is moved."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.digest import digest
from tvqsr.plan.entries import EntryPlan
from tvqsr.plan.method import load_method
from tvqsr.plan.paths import PLAN_FILE, Paths
from tvqsr.plan.plan import Plan
from tvqsr.plan.preset import Preset
from tvqsr.plan.runs import Run
from tvqsr.plan.schema import parse
from tvqsr.plan.training import Training

EXPECTED = "TVQSR_PLAN"
"""The variable in which Snakemake tells its jobs the digest of the plan that it resolved."""
PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.+-]*")
"""Names that become parts of paths."""


def record(plan: Plan) -> dict[str, Any]:
    """The resolved plan as JSON: the preset, every run and every entry."""
    return {
        "name": plan.name,
        "preset": plan.preset.model_dump(mode="json"),
        "runs": {name: _run_record(run) for name, run in plan.runs.items()},
        "entries": {name: _entry_record(entry) for name, entry in plan.entries.items()},
    }


def plan_digest(stored: Mapping[str, Any]) -> str:
    """Of what `record` gives, or of a `plan.json` that holds it."""
    return digest({key: stored.get(key) for key in ("name", "preset", "runs", "entries")})


def stored_plan(place: Path) -> Plan:
    """The plan of a results folder, given by the folder or its `plan.json`.

    Raises UserError if there is none, if it is of another version of the suite or, in a job, if it is not the one that
    Snakemake started with.
    """
    folder = place.parent if place.name == PLAN_FILE else place
    path = folder / PLAN_FILE
    if not path.is_file():
        raise UserError(
            f"{folder}: is no results folder (no plan.json); "
            f"give the folder of a preset that was run, such as results/mini"
        )
    stored = read_json(path)
    expected = os.environ.get(EXPECTED)
    if expected and isinstance(stored, dict) and plan_digest(stored) != expected:
        raise UserError(
            f"{path}: is not the plan that this Snakemake started with: it, or the preset, was changed meanwhile; "
            f"run snakemake again"
        )
    return parsed_plan(stored, folder)


def parsed_plan(stored: dict[str, Any], folder: Path) -> Plan:
    """The plan that `record` made JSON of, with results in a folder.

    Raises UserError if it is of another version of the suite, or needs a method that is not installed.
    """
    path = folder / PLAN_FILE
    _check_names(stored, path)
    try:
        preset = parse(Preset, stored["preset"], str(path))
        runs: dict[str, Run] = {}
        for name, value in stored["runs"].items():
            runs[name] = _run(name, value, runs, str(path))
        entries = {name: _entry(name, value, runs, str(path)) for name, value in stored["entries"].items()}
        return Plan(stored["name"], preset, entries, Paths(folder))
    except KeyError as error:
        raise UserError(f"{path}: lacks {error}; it was written by another version of tvqsr") from None


def _check_names(stored: Any, path: Path) -> None:
    """Refuse names that become parts of paths and are none that a plan gives: they would lead out of the results."""
    try:
        names = [stored["name"], *stored["runs"], *stored["entries"]]
        names += [part for run in stored["runs"].values() for part in (run["stage"], run["digest"])]
        names += [run["dataset"] for run in stored["runs"].values() if run["dataset"]]
        seeds = [seed for entry in stored["entries"].values() for seed in entry["seeds"]]
    except KeyError as error:
        raise UserError(f"{path}: lacks {error}; it was written by another version of tvqsr") from None
    except (AttributeError, TypeError):
        raise UserError(f"{path}: is no plan of tvqsr; delete it and run snakemake again") from None
    for name in names:
        if not isinstance(name, str) or not PLAIN.fullmatch(name) or ".." in name:
            raise UserError(f"{path}: `{name}` is no plain name; such a plan is not followed")
    if any(type(seed) is not int or seed < 0 for seed in seeds):
        raise UserError(f"{path}: seeds: whole numbers >= 0 expected")


def _run_record(run: Run) -> dict[str, Any]:
    return {
        "method": run.method.name,
        "stage": run.stage,
        "settings": dict(run.settings),
        "training": run.training.model_dump(mode="json"),
        "dataset": run.dataset,
        "needs": {need: needed.name for need, needed in run.needs.items()},
        "digest": run.digest,
        "released": run.released,
    }


def _entry_record(entry: EntryPlan) -> dict[str, Any]:
    run = entry.run.name if entry.run else None
    return {
        "title": entry.title,
        "method": entry.method.name,
        "run": run,
        "seeds": list(entry.seeds),
        "reads": entry.reads,
        "given": entry.given,
    }


def _run(name: str, value: dict[str, Any], runs: dict[str, Run], where: str) -> Run:
    method = load_method(value["method"], f"{where}: {name}")
    training = parse(Training, value["training"], f"{where}: {name}")
    needs = {need: runs[needed] for need, needed in value["needs"].items()}
    settings, dataset, released = value["settings"], value["dataset"], value["released"]
    return Run(method, value["stage"], settings, training, dataset, needs, value["digest"], released)


def _entry(name: str, value: dict[str, Any], runs: dict[str, Run], where: str) -> EntryPlan:
    method = load_method(value["method"], f"{where}: {name}")
    run = runs[value["run"]] if value["run"] else None
    return EntryPlan(name, value["title"], method, run, tuple(value["seeds"]), value["given"])
