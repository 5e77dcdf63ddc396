"""Train one run of the plan for one seed, and leave weights, curve and record."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from tvqsr.console import is_helper, say
from tvqsr.csv_files import write_csv
from tvqsr.data.crops import CropSampler
from tvqsr.data.feed import Source
from tvqsr.errors import UserError
from tvqsr.fetch.lock import locked
from tvqsr.files import sha256
from tvqsr.plan import Plan, Run
from tvqsr.plan.digest import digest
from tvqsr.plugins import load_plugin
from tvqsr.provenance import peak_memory_mib, provenance
from tvqsr.train.divergence import first_divergence
from tvqsr.train.failure import forget, keep, refuse_again
from tvqsr.train.guard import NotFiniteError
from tvqsr.train.loop import Fit, fit
from tvqsr.train.processes import together
from tvqsr.train.weights import load_trained, save_run


def train(plan: Plan, run_name: str, seed: int) -> None:
    """Train a run; continues from its last checkpoint if that belongs to the same settings, data and code.

    The weights are written last. One process at a time: a job that outlived its workflow is waited for.
    Raises UserError, before anything is loaded, for a training that met a value not finite and is the same still.
    """
    run, folder = plan.run(run_name), plan.paths.run(run_name, seed)
    if is_helper():
        # The lock is held by the process that this one helps.
        _train(plan, run, seed, folder)
        return
    with locked(folder / "state" / "training", lambda line: say(f"[{run_name} seed {seed}] {line}")):
        _train(plan, run, seed, folder)


def _train(plan: Plan, run: Run, seed: int, folder: Path) -> None:
    refuse_again(folder, lambda: training_key(plan, run, seed))
    sampler, started = crops_of(plan, run, seed), time.perf_counter()
    arguments = fitting(plan, run, seed, sampler)
    key = arguments["key"] = training_key(plan, run, seed)
    sampler.left_out = folder / "state" / f"left_out-{key[:12]}.txt"
    try:
        with together(arguments["label"], arguments["runtime"]):
            result = fit(**arguments)
    except NotFiniteError as error:
        kept = keep(error, run.name, seed, key, arguments["state"], sampler, plan.preset.runtime.processes)
        raise UserError(f"{error}; `tvqsr replay {folder}` does that step again and tells more ({kept})") from None
    _write_curve(folder / "curve.csv", result.curve)
    record = _record(run, seed, _inputs(plan, run, seed), result, time.perf_counter() - started)
    record["photos_left_out"] = _lines(sampler.left_out)
    save_run(folder, result.weights, run.name, record)
    forget(arguments["state"])


def crops_of(plan: Plan, run: Run, seed: int) -> CropSampler:
    """The crops that a run is trained on. Raises UserError for photos that are missing or do not suit."""
    return CropSampler(plan.paths.dataset(run.dataset), run.training, seed, with_lr=run.spec.trains_on == "pairs")


def fitting(plan: Plan, run: Run, seed: int, sampler: Source) -> dict[str, Any]:
    """What `fit` is given for a run, but for its key. Raises UserError for what is missing or does not suit."""
    needs = {name: load_trained(plan, need, seed) for name, need in run.needs.items()}
    plugin = load_plugin(run.method)
    return {
        "build": lambda: plugin.stage(run.stage, run.settings, needs),
        "sampler": sampler,
        "seed": seed,
        "state": plan.paths.run(run.name, seed) / "state",
        "runtime": plan.preset.runtime,
        "label": f"{run.method.name}.{run.stage} seed {seed}",
    }


def training_key(plan: Plan, run: Run, seed: int) -> str:
    """Of settings, code and inputs: what a checkpoint must be of to be gone on from."""
    return digest([plan.train_key(run.name), _inputs(plan, run, seed)])


def _inputs(plan: Plan, run: Run, seed: int) -> dict[str, str]:
    """SHA-256 of the photos' manifest and of the weights that a run reads."""
    weights = {name: sha256(plan.paths.weights(need.name, seed)) for name, need in run.needs.items()}
    return {"data": sha256(plan.paths.manifest(run.dataset)), **weights}


def _lines(path: Path) -> list[str]:
    """The different lines of a file that there may be, in order: several processes and attempts wrote it."""
    return sorted(set(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []


def _write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_csv(path, text.getvalue())


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
        "diverging": first_divergence(result.curve),
        "made_by": provenance(),
    }
