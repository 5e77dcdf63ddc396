"""Batches on the device: crops made ahead by threads, LR made there where a training makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from tvqsr.data.ahead import in_order
from tvqsr.data.crops import Batch
from tvqsr.plan.training import Training


class Source(Protocol):
    """Where batches come from: a `CropSampler`, whose methods these are, or what stands in for one."""

    training: Training
    scale: int
    makes_lr: bool

    def of(self, share: int, shares: int) -> Source: ...

    def batch(self, step: int) -> Batch: ...

    def seeds(self, step: int) -> list[list[int]]: ...


def batches(sampler: Source, start: int, device: torch.device, workers: int) -> Iterator[Batch]:
    """Batches (or the sampler's shares) of the steps from `start` to the training's last, channels-last on the device.

    With `workers` > 0 as many batches are cropped ahead in threads; what a batch holds does not depend on it.
    """
    steps = range(start, sampler.training.steps)
    for step, batch in zip(steps, in_order(sampler.batch, steps, workers), strict=True):
        yield _finished(sampler, step, batch, device)


def _finished(sampler: Source, step: int, batch: Batch, device: torch.device) -> Batch:
    pinned = [crops.pin_memory() if device.type == "cuda" else crops for crops in batch]
    hr, lr = (crops.to(device, non_blocking=True, memory_format=torch.channels_last) for crops in pinned)
    if not sampler.makes_lr or lr.numel():
        return Batch(hr, lr)
    from tvqsr.data.degrade import RECIPES, degrade

    recipe = RECIPES[sampler.training.degradation]
    made = degrade(hr, recipe, sampler.seeds(step), scale=sampler.scale)
    return Batch(hr, made.contiguous(memory_format=torch.channels_last))
