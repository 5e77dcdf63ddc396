"""Measure an entry of a plan, or a method at its published size before it was ever trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tvqsr.contract import Stage, Upscaler
from tvqsr.efficiency.cost import inference_cost
from tvqsr.efficiency.fresh import FreshStages, fresh_run
from tvqsr.efficiency.training import training_memory
from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.method import Method, load_method
from tvqsr.plugins import load_plugin
from tvqsr.provenance import provenance
from tvqsr.upscale.job import ready


def measure_entry(plan: Plan, entry_name: str) -> None:
    """Write `efficiency/<entry>.json`: parameters, MACs, time and memory of an entry's networks, with fresh weights."""
    entry = plan.entry(entry_name)
    if entry.has_outputs:
        write_json(plan.paths.efficiency(entry_name), _not_measured(entry))
        return
    torch.set_num_threads(plan.preset.runtime.threads)
    fresh, stages = fresh_run(entry.run) if entry.run else (None, {})
    plugin = load_plugin(entry.method)
    built = plugin.given_upscaler(Path(entry.given)) if entry.given is not None else plugin.upscaler(fresh)
    model, device = ready(built, plan.preset.runtime.gpus)
    trained = {name: count(stage.moved_by(stage.generator)) for name, stage in stages.items()}
    record = {
        "entry": entry_name,
        "run": entry.run.name if entry.run else None,
        "reads": entry.reads,
        "parameters": {"inference": count(model), "counted": counted(model), "trained": trained},
        **inference_cost(model, entry.reads, device),
        "made_by": provenance(),
    }
    write_json(plan.paths.efficiency(entry_name), record)


def _not_measured(entry: EntryPlan) -> dict[str, Any]:
    """The record of an entry of which nothing can be measured, with the reason."""
    numbers = ("input", "output", "macs", "milliseconds", "peak_memory_mib", "peak_memory_of", "precision", "device")
    return {
        "entry": entry.name,
        "run": None,
        "reads": entry.reads,
        "parameters": {"inference": None, "counted": None, "trained": {}},
        **dict.fromkeys([*numbers, "threads"]),
        "timed_images": 0,
        "not_measured": "finished outputs were given, no network",
        "made_by": provenance(),
    }


def published_cost(
    method_name: str, stage: str | None, changes: Mapping[str, Any], given: Path | None = None
) -> dict[str, Any]:
    """The same numbers for a method with fresh weights, as published but for `changes` (setting -> value).

    Beside them, parameters by part. A method that runs somebody's checkpoint is `given` one. Raises UserError for an
    unknown method, stage or setting, and for a method without networks.
    """
    method = load_method(method_name, "tvqsr efficiency")
    _check_given(method, given)
    stage = stage or method.spec.upscales_with
    fresh = FreshStages(changes)
    trained = fresh.build(method, stage) if stage else None
    fresh.check_all_taken()
    plugin = load_plugin(method)
    model, device = ready(plugin.given_upscaler(given) if given is not None else plugin.upscaler(trained), gpus=1)
    reads = method.spec.stages[stage].image_input if stage else method.spec.reads
    stages = fresh.stages.items()
    return {
        "method": method.name,
        "stage": stage,
        "reads": reads,
        "changed": dict(changes),
        "parameters": {
            "inference": count(model),
            "counted": counted(model),
            "trained": {name: count(built.moved_by(built.generator)) for name, built in stages},
            "parts": {name: _parts(built) for name, built in stages},
        },
        **inference_cost(model, reads, device),
        "made_by": provenance(),
    }


def _check_given(method: Method, given: Path | None) -> None:
    if method.spec.given == "images":
        raise UserError(f"method `{method.name}` has no network: an entry of it is given finished outputs")
    if method.spec.given == "checkpoint" and given is None:
        raise UserError(f"method `{method.name}` runs others' checkpoints: name one with --given")
    if method.spec.given is None and given is not None:
        raise UserError(f"--given: method `{method.name}` runs no checkpoint of others; leave it out")


def published_training_memory(
    method_name: str, stage: str | None, changes: Mapping[str, Any], batch_size: int | None, hr_crop: int | None
) -> dict[str, Any]:
    """Memory of a training step of a stage in fp32, at its last step; batch and crop are the published ones if None.

    Raises UserError for what cannot be trained.
    """
    method = load_method(method_name, "tvqsr efficiency")
    stage = stage or method.spec.upscales_with
    if stage is None:
        raise UserError(f"--training: method `{method.name}` has nothing to train")
    fresh = FreshStages(changes)
    fresh.build(method, stage, perceptual=True)
    fresh.check_all_taken()
    published = method.spec.stages[stage].training
    batch_size = published.batch_size if batch_size is None else batch_size
    hr_crop = published.hr_crop if hr_crop is None else hr_crop
    if batch_size < 1:
        raise UserError(f"--batch {batch_size}: expected 1 or more")
    if hr_crop < 1 or hr_crop % method.spec.crop_multiple:
        raise UserError(f"--crop {hr_crop}: {method.name} needs a multiple of {method.spec.crop_multiple}")
    memory = training_memory(fresh.stages[f"{method.name}.{stage}"], batch_size, hr_crop, step=published.iterations - 1)
    about = {"method": method.name, "stage": stage, "changed": dict(changes)}
    return {**about, "batch_size": batch_size, "hr_crop": hr_crop, "precision": "float32", "mib": memory}


def count(module: nn.Module) -> int:
    """Parameters of a module, each once."""
    return sum(parameter.numel() for parameter in module.parameters())


def counted(model: Upscaler) -> int:
    """Parameters as the authors count them: with what their model carries along."""
    return count(model) + sum(count(module) for module in model.carried_along())


def _parts(stage: Stage) -> dict[str, int]:
    """Parameters by network, and by part where its parts have names: `tokenizer.fusion`."""
    parts: dict[str, int] = {}
    for name, network in stage.networks.items():
        if isinstance(network, nn.Sequential):
            parts[name] = count(network)
        else:
            parts |= {f"{name}.{part}": count(module) for part, module in network.named_children()}
    return parts
