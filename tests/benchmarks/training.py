"""Training steps of the three stages of TVQ&RAP, plain and with each switch on and off."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lpips  # noqa: F401 - else it would be imported, and counted, as part of a network's memory
import torch
from torch.optim import Adam

from tests.benchmarks.measure import (
    PLAIN,
    Tf32,
    allowed_tf32,
    gradients_not_kept,
    in_turns,
    keep_freed,
    made_plain,
    relative,
    without_own_linear,
)
from tests.benchmarks.memory import peak_alone
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.efficiency.fresh import FreshStages, fresh_run
from tvqsr.plan import Plan, Run
from tvqsr.plan.method import load_method
from tvqsr.train.average import RunningAverage
from tvqsr.train.switches import compile_blocks

STAGES = ("tokenizer", "predictor", "rap")
CPU_CROPS = {"paper": (1, 256), "small": (4, 128)}
"""Batch and side of the HR crop, by size: less than those that are trained with, for CPUs."""
LATE = 10**6
"""A step with all losses on."""


@dataclass(frozen=True)
class Switches:
    """How a step is made; the default is how the suite makes it, but that on a GPU nothing is TF32."""

    plain: bool = False
    layout: torch.memory_format = torch.channels_last
    fused: bool = True
    kept: bool = True
    own_linear: bool = True
    freed_kept: bool = True
    bf16: bool = False
    tf32: Tf32 = "none"
    compiled: Path | None = None


def variants(device: torch.device, compiled: Path | None) -> dict[str, Switches]:
    """Ways to make a step, the plain one first."""
    ours = Switches()
    plain = Switches(True, torch.contiguous_format, fused=False, kept=False, own_linear=False, freed_kept=False)
    found = {
        PLAIN: plain,
        "ours": ours,
        "ours, not channels-last": replace(ours, layout=torch.contiguous_format),
        "ours, Adam not fused": replace(ours, fused=False),
        "ours, LPIPS goes back twice": replace(ours, kept=False),
        "ours, torch's linear layers": replace(ours, own_linear=False),
        "ours, freed memory given back": replace(ours, freed_kept=False),
        "ours, bf16": replace(ours, bf16=True),
    }
    if device.type == "cuda":
        found["plain eager, TF32"] = replace(plain, tf32="all")
        found["ours, TF32 in convolutions"] = replace(ours, tf32="convolutions")
        found["ours, TF32"] = replace(ours, tf32="all")
    if compiled:
        found["ours, compiled"] = replace(ours, compiled=compiled)
        found["ours, compiled, bf16"] = replace(ours, compiled=compiled, bf16=True)
    return found


def published_crops(size: str, name: str) -> tuple[int, int]:
    """Batch and side of the HR crop that a stage is trained with: by `method.yaml`, or by the preset `small`."""
    spec = load_method("tvqrap", "benchmark").spec.stages[name]
    training = _run_of_small(name).training if size == "small" else spec.training
    return training.batch_size, training.hr_crop


def crops(size: str, name: str, device: torch.device) -> tuple[int, int]:
    """Batch and side of the HR crop that are measured: on a GPU those of the real training."""
    return published_crops(size, name) if device.type == "cuda" else CPU_CROPS[size]


def new_stage(size: str, name: str) -> Stage:
    """A stage with fresh weights, those of LPIPS (VGG) in its losses, too: whose weights are here does not matter."""
    torch.manual_seed(0)
    if size == "small":
        run = _run_of_small(name)
        vgg = {key: "lpips_vgg" for key in run.settings if key == "perceptual"}
        run = replace(run, settings={**run.settings, **vgg})
        return fresh_run(run, perceptual=True)[1][run.name]
    fresh = FreshStages({})
    fresh.build(load_method("tvqrap", "benchmark"), name, perceptual=True)
    return fresh.stages[f"tvqrap.{name}"]


def _run_of_small(name: str) -> Run:
    runs = Plan.load("small").runs.values()
    return next(run for run in runs if (run.method.name, run.stage) == ("tvqrap", name))


class Step:
    """A training step as the loop makes it, over and over on one batch."""

    def __init__(self, stage: Stage, switches: Switches, batch: int, crop: int, device: torch.device) -> None:
        self.stage, self.switches, self.device = stage.train().to(device), switches, device
        if switches.plain:
            made_plain(stage)
        if not switches.own_linear:
            without_own_linear(stage)
        layout: dict[str, Any] = {"memory_format": switches.layout}
        stage.to(**layout)
        random = torch.Generator().manual_seed(0)
        hr, lr = (torch.rand(batch, 3, s, s, generator=random).to(device, **layout) for s in (crop, crop // 4))
        self.batch = Batch(hr, lr)
        fused, foreach = (True, None) if switches.fused else (None, False)
        self.optimisers = {
            player: Adam(stage.moved_by(player).parameters(), lr=1e-7, fused=fused, foreach=foreach)
            for player in stage.players
        }
        self.average = RunningAverage(stage.moved_by(stage.generator), 0.99)
        if switches.compiled:
            compile_blocks(stage, switches.compiled)
        self.terms: Terms = {}

    def __call__(self) -> None:
        keep_freed(self.switches.freed_kept)
        with self._context(), allowed_tf32(self.switches.tf32):
            for player, optimiser in self.optimisers.items():
                self.stage.networks.requires_grad_(False)
                self.stage.moved_by(player).requires_grad_(True)
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.switches.bf16):
                    terms = self.stage(player, self.batch, LATE)
                if terms:
                    optimiser.zero_grad()
                    torch.stack(list(terms.values())).sum().backward()
                    optimiser.step()
                    self.terms = terms if player == self.stage.generator else self.terms
            self.average.update_parameters(self.stage.moved_by(self.stage.generator))

    def gradient(self) -> torch.Tensor:
        """Of the generator, by one step: flat, on the CPU."""
        self()
        parameters = self.stage.moved_by(self.stage.generator).parameters()
        return torch.cat([p.grad.flatten().cpu() for p in parameters if p.grad is not None])

    def _context(self) -> AbstractContextManager[None]:
        return nullcontext() if self.switches.kept else gradients_not_kept()


def new_step(size: str, name: str, switches: Switches, batch: int, crop: int, device: torch.device) -> Step:
    """A step of a stage with fresh weights, alike in every way."""
    return Step(new_stage(size, name), switches, batch, crop, device)


def training(
    device: torch.device,
    rounds: int,
    size: str,
    stages: Mapping[str, tuple[int, int]],
    compiled: Path | None,
    memory: bool = True,
) -> list[dict[str, Any]]:
    """Stages of a size in all ways, each by its batch and crop."""
    return [_stage(device, rounds, size, name, batch, crop, compiled, memory) for name, (batch, crop) in stages.items()]


def _stage(
    device: torch.device,
    rounds: int,
    size: str,
    name: str,
    batch: int,
    crop: int,
    compiled: Path | None,
    memory: bool,
) -> dict[str, Any]:
    print(f"{name}, {size} size: step of {batch} crops of {crop}", flush=True)
    makers = {
        way: partial(new_step, size, name, switches, batch, crop, device)
        for way, switches in variants(device, compiled).items()
    }
    # Before this process holds anything: on a GPU both would have to fit.
    peaks = {way: peak_alone(make, device) for way, make in makers.items()} if memory else None
    steps = {way: make() for way, make in makers.items()}
    differences = _differences(steps)
    times = in_turns(steps, rounds, device, peaks)
    for way, row in times.items():
        row.update(images_per_second=batch / row["best_seconds"], **differences[way])
    return {"stage": name, "size": size, "batch": batch, "hr_crop": crop, "ways": times}


def _differences(steps: dict[str, Step]) -> dict[str, dict[str, Any]]:
    """Of the first step's losses and gradient, to the plain way's: from the same weights, on the same batch."""
    found: dict[str, dict[str, Any]] = {}
    expected = steps[PLAIN].gradient()
    terms = {name: float(value.detach()) for name, value in steps[PLAIN].terms.items()}
    for way, step in steps.items():
        gradient = expected if way == PLAIN else step.gradient()
        off = {name: abs(float(step.terms[name].detach()) / value - 1) for name, value in terms.items() if value}
        found[way] = {"loss_differences": off, "gradient_difference": relative(gradient, expected)}
        worst = max(off, key=lambda name: off[name])
        told = f"largest of a loss {off[worst]:.0e} ({worst}), of the gradient {found[way]['gradient_difference']:.0e}"
        print(f"  {way:<34}relative difference {told}", flush=True)
    return found
