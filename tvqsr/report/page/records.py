"""Where the numbers come from: trainings, what was given, and the choices that a method's runs made."""

from __future__ import annotations

from typing import Any

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.method import Method


def variants(plan: Plan, method: Method) -> list[str]:
    """What this method's runs chose among choices that its `method.yaml` explains, a sentence each."""
    sentences: dict[str, None] = {}
    for run in plan.runs.values():
        if run.method.name != method.name:
            continue
        for name, setting in run.spec.settings.items():
            if isinstance(setting.choices, dict):
                sentences[f"{name} {run.settings[name]}: {setting.choices[str(run.settings[name])]}"] = None
    return list(sentences)


def given_rows(plan: Plan) -> list[dict[str, str]]:
    """What is known of the checkpoints and outputs that entries were given."""
    return [
        _given_row(plan, entry, testset)
        for entry in plan.entries.values()
        if entry.given
        for testset in plan.test_sets(entry.name)
    ]


def _given_row(plan: Plan, entry: EntryPlan, testset: str) -> dict[str, str]:
    """What is known of the checkpoint or the outputs that an entry was given for a test set."""
    record = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))
    given, told = record["given"], []
    if given["kind"] == "checkpoint":
        told = [f"{name}: {value}" for name, value in given["about"].items() if value]
        told += [f"{record['parameters'] / 1e6:.2f} M parameters", f"sha256 {given['sha256']}"]
    else:
        told = [f"{len(record['images'])} images, sha256 of each in run.json", "parameters and time n/a"]
        if left_out := given["left_out"]:
            told.append(f"of no test photo and left out: {', '.join(left_out[:10])}{', ...' if left_out[10:] else ''}")
    return {"title": entry.title, "testset": testset, "path": given["path"], "told": "; ".join(told)}


def run_rows(plan: Plan) -> list[dict[str, Any]]:
    """A row for every training and seed."""
    return [_run_row(plan, run, seed) for run, seed in plan.made()]


def _diverged(record: dict[str, Any]) -> str:
    """From which step on a loss term was beyond all measure, if it ever was."""
    found = record.get("diverging")
    return f"; diverges at step {found['step']:.0f}, a loss {found['times']:.0f} times the usual" if found else ""


def _run_row(plan: Plan, run: str, seed: int) -> dict[str, Any]:
    record = read_json(plan.paths.run_record(run, seed))
    git = record["made_by"]["git"]
    machine = record["made_by"]["machine"]
    gpu = machine["gpu"]["name"] if machine["gpu"] else None
    common = {
        "run": run,
        "seed": seed,
        "parameters": f"{record['parameters'] / 1e6:.2f} M",
        "machine": gpu or machine["cpu"],
        "commit": (git["commit"][:9] + (" + changes" if git["dirty"] else "")) if git else "no git",
    }

    def told(key: str) -> str:
        last = record["training"]["last_phase"]
        return f"{record['training'][key]}, then {last[key]}" if last else str(record["training"][key])

    if plan.runs[run].released:
        return common | dict.fromkeys(("iterations", "batch", "crop", "wall", "rate", "memory"), "released")
    return common | {
        "iterations": told("iterations") + _diverged(record),
        "batch": told("batch_size"),
        "crop": told("hr_crop"),
        "wall": f"{record['wall_seconds']:.0f} s",
        "rate": f"{record['images_per_second']:.1f}",
        "memory": f"{record['peak_memory_mib']:.0f} MiB",
    }
