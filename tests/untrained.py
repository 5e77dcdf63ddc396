"""Stages and runs before their first step, for tests of what a training moves and of networks in inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from tests.conftest import Command
from tvqsr.contract import Stage, Trained
from tvqsr.data.crops import Batch
from tvqsr.files import write_json
from tvqsr.plan import Plan, Run
from tvqsr.plan.stored import record
from tvqsr.plugins import load_plugin

ChangedPreset = Callable[..., Path]


def batch() -> Batch:
    torch.manual_seed(1)
    return Batch(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 16, 16))


def weights_of(networks: nn.ModuleDict) -> dict[str, torch.Tensor]:
    """Copies by `network.key`, as they are saved."""
    return {f"{name}.{key}": value.clone() for name, net in networks.items() for key, value in net.state_dict().items()}


def untrained_vgg19(**_: object) -> nn.Module:
    """Stands for `torchvision.models.vgg19`, of fresh weights, without the classifier that takes seconds to fill."""
    return nn.ModuleDict({"features": make_layers(cfgs["E"], batch_norm=False)})


def run_of(plan: Plan, method: str, stage: str) -> Run:
    return next(r for r in plan.runs.values() if (r.method.name, r.stage) == (method, stage))


def untrained(run: Run) -> tuple[Stage, Trained]:
    """A run's stage, and its networks as a finished run would hand them on: as they are before the first step."""
    torch.manual_seed(0)
    needs = {name: untrained(need)[1] for name, need in run.needs.items()}
    stage = load_plugin(run.method).stage(run.stage, run.settings, needs)
    return stage, Trained(run.stage, run.settings, weights_of(stage.networks), needs)


def gradients(stage: Stage, *terms: str) -> set[str]:
    """Top-level parts of the generator's networks that get a gradient from these terms alone."""
    stage.zero_grad()
    losses = stage.losses(stage.generator, batch(), 0)
    torch.stack([losses[term] for term in terms]).sum().backward()
    return {
        ".".join(name.split(".")[:2])
        for name, parameter in stage.networks.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.any())
    }


def with_settings(preset: ChangedPreset, method: str, **stages: dict[str, Any]) -> Plan:
    """The tiny plan with other settings in some stages of a method."""

    def change(content: dict[str, Any]) -> None:
        for stage, settings in stages.items():
            content["methods"][method][stage]["settings"].update(settings)

    return Plan.load(str(preset(change)))


def made_from_scratch(plan: Plan, tvqsr: Command, last: Run, entries: Sequence[str]) -> None:
    """Prepare the plan's sets, train a run and all it needs, and make images of entries, by the command line."""
    root = plan.paths.root
    write_json(plan.paths.record, record(plan))
    steps: list[tuple[object, ...]] = [
        *(("prepare", root, f"photos_{part}") for part in ("train", "test")),
        *(("train", root, needed.name) for needed in last.lineage()),
        *(("upscale-entry", root, entry, "photos_test") for entry in entries),
    ]
    for words in steps:
        result = tvqsr(*words)
        assert result.returncode == 0, result.stderr
