"""Train one run of the plan for one seed, and leave weights, curve and record."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from tvqsr.data.crops import CropSampler
from tvqsr.files import sha256, write_json, written_beside
from tvqsr.plan import Plan, Run
from tvqsr.plan.digest import digest
from tvqsr.plugins import load_plugin
from tvqsr.provenance import peak_memory_mib, provenance
from tvqsr.train.loop import Fit, fit
from tvqsr.train.processes import together
from tvqsr.train.weights import load_trained, save_weights


def train(plan: Plan, run_name: str, seed: int) -> None:
    """Train a run; continues from its last checkpoint if that belongs to the same settings, data and code.

    The weights are written last.
    """
    run = plan.run(run_name)
    folder = plan.paths.run(run_name, seed)
    dataset = plan.paths.dataset(run.dataset)
    sampler = CropSampler(dataset, run.training, seed, with_lr=run.spec.trains_on == "pairs")
    needs = {name: load_trained(plan, need, seed) for name, need in run.needs.items()}
    plugin = load_plugin(run.method)
    inputs = {
        "data": sha256(plan.paths.manifest(run.dataset)),
        **{n: sha256(plan.paths.weights(r.name, seed)) for n, r in run.needs.items()},
    }
    started = time.perf_counter()
    runtime, label = plan.preset.runtime, f"{run.method.name}.{run.stage} seed {seed}"
    with together(label, runtime):
        result = fit(
            lambda: plugin.stage(run.stage, run.settings, needs),
            sampler,
            seed=seed,
            state=folder / "state",
            key=digest([plan.train_key(run_name), inputs]),
            runtime=runtime,
            label=label,
        )
    _write_curve(folder / "curve.csv", result.curve)
    write_json(folder / "run.json", _record(run, seed, inputs, result, time.perf_counter() - started))
    save_weights(folder / "weights.safetensors", result.weights, run.name)


def _write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)


def _record(run: Run, seed: int, inputs: dict[str, str], result: Fit, seconds: float) -> dict[str, Any]:
    return {
        "run": run.name,
        "seed": seed,
        "settings": dict(run.settings),
        "training": run.training.model_dump(mode="json"),
        "dataset": run.dataset,
        "inputs_sha256": inputs,
        "parameters": result.parameters,
        "wall_seconds": round(result.seconds, 1),
        "wall_seconds_of_last_attempt": round(seconds, 1),
        "processes": result.processes,
        "images_per_second": round(run.training.images / result.seconds, 2),
        "peak_memory_mib": peak_memory_mib(),
        "final": result.curve[-1],
        "made_by": provenance(),
    }
