"""What methods there are, and what the shipped presets make of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.plan.load import PRESETS
from tvqsr.plan.method import Method, StageSpec, method_folders, read_method
from tvqsr.plan.plan import Plan
from tvqsr.plan.schema import suggestion


def overview(name: str | None = None) -> list[dict[str, Any]]:
    """All methods, or the one of that name, as JSON-like values. Raises UserError for an unknown one.

    A method that cannot be read has `error` instead of everything else; the others are told all the same.
    """
    folders = method_folders()
    if name is not None and name not in folders:
        raise UserError(f"unknown method `{name}`{suggestion(name, folders)}")
    return [_told(key, folders[key]) for key in sorted(folders) if name in (None, key)]


def _told(name: str, folder: Path | UserError) -> dict[str, Any]:
    if isinstance(folder, UserError):
        return {"name": name, "error": str(folder)}
    try:
        method = read_method(folder)
    except UserError as error:
        return {"name": name, "folder": str(folder), "error": str(error)}
    spec = method.spec.model_dump(mode="json")
    return {
        "name": name,
        "folder": str(folder),
        **{key: spec[key] for key in ("title", "kind", "paper", "licence", "differs", "upscales_with")},
        "stages": {key: _stage(stage) for key, stage in method.spec.stages.items()},
        "presets": {preset: _use(plan, method) for preset, plan in _plans().items()},
    }


def _stage(stage: StageSpec) -> dict[str, Any]:
    settings = {name: setting.model_dump(mode="json", exclude_none=True) for name, setting in stage.settings.items()}
    return {
        "trains_on": stage.trains_on,
        "needs": list(stage.needs),
        "released": stage.released is not None,
        "training": stage.training.model_dump(mode="json"),
        "settings": settings,
    }


@cache
def _plans() -> dict[str, Plan | UserError]:
    """Each shipped preset with all its rows, or why it cannot be planned (a broken method that it names, say)."""
    plans: dict[str, Plan | UserError] = {}
    for path in sorted(PRESETS.glob("*.yaml")):
        try:
            plans[path.stem] = Plan.load(path.stem, {"entries": "all"})
        except UserError as error:
            plans[path.stem] = error
    return plans


def _use(plan: Plan | UserError, method: Method) -> dict[str, Any]:
    """What a preset makes of a method: its rows, and the iterations of all their trainings, for one seed."""
    if isinstance(plan, UserError):
        return {"error": str(plan)}
    rows = [entry for entry in plan.entries.values() if entry.method.name == method.name]
    runs = {run.name: run for entry in rows if entry.run for run in entry.run.lineage() if not run.released}
    return {
        "entries": [entry.name for entry in rows],
        "trainings": len(runs),
        "iterations": sum(run.training.steps for run in runs.values()),
        "seeds": len(plan.preset.seeds),
    }


def summary(method: dict[str, Any]) -> str:
    """A method in a few lines."""
    if "error" in method:
        return f"{method['name']}  cannot be used\n  error    {method['error']}"
    lines = [f"{method['name']}  {method['title']} ({method['kind']})"]
    if paper := method["paper"]:
        lines.append(f"  paper    {paper['title']}, {paper['venue']}, {paper['url']}")
    lines.append(f"  licence  {method['licence']}")
    if method["stages"]:
        lines.append(f"  stages   {'; '.join(_in_words(name, stage) for name, stage in method['stages'].items())}")
    lines += [f"  {name:<8} {_use_in_words(use)}" for name, use in method["presets"].items()]
    return "\n".join(lines)


def describe(method: dict[str, Any]) -> str:
    """A method in full: the summary, what differs from its publication, and every setting."""
    lines = [summary(method)]
    if "error" in method:
        return lines[0]
    lines += [f"  folder   {method['folder']}", f"  differs  {method['differs']}"]
    for name, stage in method["stages"].items():
        training = {key: value for key, value in stage["training"].items() if value not in (None, [])}
        lines.append(f"\nstage {_in_words(name, stage)}")
        lines.append(f"  training: {', '.join(f'{key} {value}' for key, value in training.items())}")
        lines += [f"  {key}: {_setting(setting)}" for key, setting in stage["settings"].items()]
    return "\n".join(lines)


def _in_words(name: str, stage: dict[str, Any]) -> str:
    needs = f", needs {', '.join(stage['needs'])}" if stage["needs"] else ""
    return f"{name} (trains on {stage['trains_on']}{needs})"


def _use_in_words(use: dict[str, Any]) -> str:
    if "error" in use:
        return f"cannot be planned: {use['error']}"
    if not use["entries"]:
        return "not in it"
    each = f", {use['iterations']} iterations for each of {use['seeds']} seeds" if use["trainings"] else ""
    return f"{', '.join(use['entries'])}{each}"


def _setting(setting: dict[str, Any]) -> str:
    told = [f"{setting['default']}"]
    if choices := setting.get("choices"):
        told.append(f"one of {', '.join(map(str, choices))}")
        if isinstance(choices, dict):
            told += [f"\n    {choice}: {sentence}" for choice, sentence in choices.items()]
    if "minimum" in setting:
        told.append(f"at least {setting['minimum']:g}")
    return "; ".join(told)
