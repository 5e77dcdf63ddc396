"""A finished run's weights on disk. Apart from the loop, so that who only uses them need not import it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from tvqsr.contract import Trained
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256, write_json, written_beside
from tvqsr.plan import Plan, Run


def save_run(folder: Path, weights: dict[str, Tensor], run: str, record: dict[str, Any]) -> None:
    """Write `run.json`, with the hash of the weights, and then the weights: they are what tells that a run is whole."""
    content = _serialised(weights, run)
    write_json(folder / "run.json", record | {"weights_sha256": hashlib.sha256(content).hexdigest()})
    _write(folder / "weights.safetensors", content)


def save_weights(path: Path, weights: dict[str, Tensor], run: str) -> None:
    """Write tensors as safetensors in one step, with the name of the run that they are of."""
    _write(path, _serialised(weights, run))


def _serialised(weights: dict[str, Tensor], run: str) -> bytes:
    return save({name: tensor.contiguous() for name, tensor in weights.items()}, metadata={"run": run})


def _write(path: Path, content: bytes) -> None:
    with written_beside(path) as beside:
        # Not `save_file`, which makes the file readable by its owner alone.
        beside.write_bytes(content)


def load_trained(plan: Plan, run: Run, seed: int) -> Trained:
    """A finished run with its weights and those of all it needed.

    Raises UserError if a file is missing or damaged, or holds other weights than its record tells.
    """
    path = plan.paths.weights(run.name, seed)
    try:
        with safe_open(path, framework="pt") as file:
            made_for = (file.metadata() or {}).get("run")
        weights = load_file(path)
        found = sha256(path)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {_how_to_get(plan, run)}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run snakemake again") from None
    if made_for != run.name:
        raise UserError(f"{path}: are weights of {made_for}, not of {run.name}: they belong to another configuration")
    _check(path, plan.paths.run_record(run.name, seed), found)
    needs = {name: load_trained(plan, need, seed) for name, need in run.needs.items()}
    return Trained(run.stage, run.settings, weights, needs)


def _check(path: Path, record: Path, found: str) -> None:
    """Safetensors has no checksum: one bit of a weight is told by the record beside it alone."""
    recorded = read_json(record).get("weights_sha256")
    # Records of an earlier version do not tell.
    if recorded not in (None, found):
        raise UserError(
            f"{path}: damaged, or of another training than {record.name} beside it (SHA-256 is not the recorded one); "
            f"delete both and run snakemake again"
        )


def _how_to_get(plan: Plan, run: Run) -> str:
    if run.released and run.spec.released:
        file = run.spec.released.file
        return (
            f"get the authors' {file} and run `tvqsr import-weights {run.method.name} {file} --run {plan.paths.root}`"
        )
    return f"run snakemake with the preset `{plan.name}`, which trains it"
