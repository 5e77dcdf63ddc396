"""Training steps of the three stages of TVQ&RAP, plain and with each switch on and off."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.optim import Adam

from tests.benchmarks.measure import PLAIN, gradients_not_kept, in_turns, made_plain, relative, without_own_linear
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.efficiency.fresh import FreshStages, fresh_run
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.train.average import RunningAverage
from tvqsr.train.switches import compile_blocks, matrix_products

STAGES = ("tokenizer", "predictor", "rap")
CROPS = {"paper": (1, 256), "small": (4, 128)}
"""Batch and side of the HR crop, by size. Both are less than the published ones, for CPUs; `--batch` and `--crop`."""
LATE = 10**6
"""A step with all losses on."""


@dataclass(frozen=True)
class Switches:
    """How a step is made; the default is how the suite makes it."""

    plain: bool = False
    layout: torch.memory_format = torch.channels_last
    fused: bool = True
    kept: bool = True
    own_linear: bool = True
    precision: str = "32-true"
    compiled: Path | None = None


def variants(device: torch.device, compiled: Path | None) -> dict[str, Switches]:
    """Ways to make a step, the plain one first."""
    ours = Switches()
    plain = Switches(True, torch.contiguous_format, fused=False, kept=False, own_linear=False)
    found = {
        PLAIN: plain,
        "ours": ours,
        "ours, not channels-last": replace(ours, layout=torch.contiguous_format),
        "ours, Adam not fused": replace(ours, fused=False),
        "ours, LPIPS goes back twice": replace(ours, kept=False),
        "ours, torch's linear layers": replace(ours, own_linear=False),
        "ours, bf16": replace(ours, precision="bf16-mixed"),
    }
    if device.type == "cuda":
        found["ours, TF32"] = replace(ours, precision="tf32")
    if compiled:
        found["ours, compiled"] = replace(ours, compiled=compiled)
        found["ours, compiled, bf16"] = replace(ours, compiled=compiled, precision="bf16-mixed")
    return found


def new_stage(size: str, name: str) -> Stage:
    """A stage with fresh weights; at the paper's size with LPIPS (VGG), its weights fresh, too."""
    torch.manual_seed(0)
    if size == "small":
        runs = Plan.load("small").runs.values()
        run = next(run for run in runs if (run.method.name, run.stage) == ("tvqrap", name))
        return fresh_run(run)[1][run.name]
    fresh = FreshStages({})
    fresh.build(load_method("tvqrap", "benchmark"), name, perceptual=True)
    return fresh.stages[f"tvqrap.{name}"]


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
        with self._context(), matrix_products(self.switches.precision):
            for player, optimiser in self.optimisers.items():
                self.stage.networks.requires_grad_(False)
                self.stage.moved_by(player).requires_grad_(True)
                bf16 = self.switches.precision == "bf16-mixed"
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16):
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


def training(
    device: torch.device, rounds: int, size: str, stages: tuple[str, ...], crops: tuple[int, int], compiled: Path | None
) -> list[dict[str, Any]]:
    """All stages of a size in all ways."""
    batch, crop = crops
    found = []
    for name in stages:
        print(f"{name}, {size} size: step of {batch} crops of {crop}")
        steps = {
            way: Step(new_stage(size, name), switches, batch, crop, device)
            for way, switches in variants(device, compiled).items()
        }
        differences = _differences(steps)
        times = in_turns(steps, rounds, device)
        for way, row in times.items():
            row.update(images_per_second=batch / row["best_seconds"], **differences[way])
        found.append({"stage": name, "size": size, "batch": batch, "hr_crop": crop, "ways": times})
    return found


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
