"""The training loop.

It reads from top to bottom: set up, resume, step, average, log, checkpoint, return the averaged weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

from tvqsr.console import Progress, say
from tvqsr.contract import Stage
from tvqsr.data.feed import Source, batches
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.train.average import RunningAverage
from tvqsr.train.checkpoint import Checkpoint, Interruption
from tvqsr.train.divergence import Divergence
from tvqsr.train.guard import Guard
from tvqsr.train.processes import Agreement, launched, mean_terms
from tvqsr.train.switches import compile_blocks, matrix_products

CURVE_POINTS = 200


@dataclass(frozen=True)
class Fit:
    """Outcome of a training.

    Weights on the CPU by `network.parameter`, the loss curve, seconds spent over all attempts, parameters trained, and
    processes that it was spread over at last.
    """

    weights: dict[str, Tensor]
    curve: list[dict[str, float]]
    seconds: float
    parameters: int
    processes: int


def fit(
    build: Callable[[], Stage],
    sampler: Source,
    *,
    seed: int,
    state: Path,
    key: str,
    runtime: Runtime,
    label: str,
    guard: Callable[[str, Stage], Guard] = lambda label, _: Guard(label),
) -> Fit:
    """Train the stage that `build` makes.

    `state` is the checkpoint folder; `key` identifies settings, data and code: another key starts afresh. Where
    `runtime` asks for several processes, this one goes on here in each of them, and the first alone returns.
    Raises NotFiniteError for a loss or weight that is not finite; neither weights nor a checkpoint hold it.
    """
    training = sampler.training
    fabric = launched(runtime, training.network_precision)
    together = Agreement(fabric)
    torch.manual_seed(seed)
    stage = build()
    # Convolutional auto-encoders run faster so, on CPUs (by a tenth here) and on GPUs.
    stage.train().to(memory_format=torch.channels_last)
    optimisers = {player: _adam(stage, player, training) for player in stage.players}
    average = RunningAverage(stage.moved_by(stage.generator), training.ema)
    stage.averaged = [_modules(average)]
    if runtime.compile:
        compile_blocks(stage)
    checkpoint = Checkpoint(state, key, stage, average, optimisers)
    module = fabric.setup_module(stage)
    fabric.to_device(average)
    wrapped = {player: cast("Optimizer", fabric.setup_optimizers(opt)) for player, opt in optimisers.items()}
    start = checkpoint.load(fabric.device)
    watch, divergence = guard(label, stage), Divergence(label, checkpoint.curve)
    progress = Progress(label, training.steps, start, runtime.progress_seconds)
    log_every = max(1, training.steps // CURVE_POINTS)
    share = sampler.of(fabric.global_rank, fabric.world_size)
    feed = batches(share, start, fabric.device, workers=runtime.threads - 1)
    attempt, saved = time.perf_counter(), time.perf_counter()

    with Interruption() as interruption, matrix_products(training.precision):
        for step, batch in enumerate(feed, start):
            terms: dict[str, Tensor] = {}
            watch.begin(step, batch)
            for player, optimiser in wrapped.items():
                _set_rate(optimisers[player], _rate(stage, player, training), training, step)
                _let_only_move(stage, player)
                losses = module(player, batch, step)
                if not losses:
                    continue
                watch.losses(player, step, losses)
                optimiser.zero_grad()
                fabric.backward(torch.stack(list(losses.values())).sum())
                watch.backward(player)
                if training.clip_norm:
                    moved = stage.moved_by(player)
                    # To be told of a norm that is not finite would mean to wait for it, in every step.
                    fabric.clip_gradients(moved, optimiser, max_norm=training.clip_norm, error_if_nonfinite=False)
                optimiser.step()
                terms |= {f"{player}/{name}": value.detach() for name, value in losses.items()}
            average.update_parameters(stage.moved_by(stage.generator))
            watch.end(step, checkpoint.kept)
            done = step + 1
            if done % log_every == 0 or done == training.steps:
                # But for checkpoints, the only place where the host waits for the device: 200 times a training.
                row = {"step": float(done)} | mean_terms(fabric, terms)
                watch.check_losses()
                divergence.mark(row)
                checkpoint.curve.append(row)
                progress.show(done, row, len(batch.hr) * fabric.world_size)
            late = time.perf_counter() - saved > runtime.checkpoint_seconds
            asked, save = together.largest(interruption.asked, late)
            if asked or save:
                watch.check_kept(done, checkpoint.kept)
                if fabric.is_global_zero:
                    checkpoint.save(done, time.perf_counter() - attempt)
                saved = time.perf_counter()
            if asked:
                say(f"{label}: stopped after step {done}, checkpoint kept; run the same command to go on")
                together.end()
                raise SystemExit(128 + asked)  # as a process ended by the signal would

    watch.check_kept(training.steps, checkpoint.kept)
    together.end()
    seconds = checkpoint.seconds + time.perf_counter() - attempt
    checkpoint.save(training.steps, time.perf_counter() - attempt)
    parameters = sum(p.numel() for p in stage.moved_by(stage.generator).parameters())
    return Fit(_weights(stage, average), checkpoint.curve, seconds, parameters, fabric.world_size)


def _adam(stage: Stage, player: str, training: Training) -> Optimizer:
    # Fused: networks of hundreds of small tensors otherwise spend four times as long here.
    rate = _rate(stage, player, training)
    return Adam(stage.moved_by(player).parameters(), lr=rate, betas=training.betas, fused=True)


def _rate(stage: Stage, player: str, training: Training) -> float:
    """A player's learning rate at its highest."""
    own = None if player == stage.generator else training.discriminator_learning_rate
    return training.learning_rate if own is None else own


def _set_rate(optimiser: Optimizer, highest: float, training: Training, step: int) -> None:
    factor = 0.5 * (1 + math.cos(math.pi * step / training.steps)) if training.schedule == "cosine" else 1.0
    factor *= 0.5 ** sum(step >= milestone for milestone in training.halve_at)
    factor *= min(1.0, (step + 1) / training.warmup) if training.warmup else 1.0
    for group in optimiser.param_groups:
        group["lr"] = highest * factor


def _let_only_move(stage: Stage, player: str) -> None:
    """Gradients flow through every network but are kept only for those that the player moves."""
    moving = {id(p) for p in stage.moved_by(player).parameters()}
    for parameter in stage.networks.parameters():
        parameter.requires_grad_(id(parameter) in moving)


def _weights(stage: Stage, average: AveragedModel) -> dict[str, Tensor]:
    """All networks as they are saved: the generator's averaged, the others as they stand."""
    networks = {**stage.networks, **_modules(average)}
    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def _modules(average: AveragedModel) -> nn.ModuleDict:
    averaged = average.module
    assert isinstance(averaged, nn.ModuleDict)
    return averaged
