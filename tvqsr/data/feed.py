"""Batches on the device: crops made ahead by threads, LR made there where a training makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
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

    With `workers` > 0 as many batches are cropped ahead in threads, and the next is brought to the device and its LR
    made while a step is done; what a batch holds does not depend on it.
    """
    steps = range(start, sampler.training.steps)
    cropped = zip(steps, in_order(sampler.batch, steps, workers), strict=True)
    # A stream of its own: on the loop's, a batch would wait for all that the loop has asked for.
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    finish = partial(_finished, sampler, device, stream)
    # One thread, however many there are: a degradation is launches, which would take turns.
    for batch, finished in in_order(finish, cropped, min(workers, 1)):
        if finished:
            _take_over(batch, finished)
        yield batch
        del batch


def _finished(
    sampler: Source, device: torch.device, stream: torch.cuda.Stream | None, cropped: tuple[int, Batch]
) -> tuple[Batch, torch.cuda.Event | None]:
    """A batch on the device; and on CUDA, what tells that the stream has made it."""
    if stream:
        # A new thread's device is the first GPU. Leaving the stream goes back to it, which makes a context there (some
        # 500 MiB): one by every process of a training on several GPUs.
        torch.cuda.set_device(stream.device)
    step, batch = cropped
    with torch.cuda.stream(stream):
        made = _on_device(sampler, step, batch, device)
        return made, stream.record_event() if stream else None


def _take_over(batch: Batch, finished: torch.cuda.Event) -> None:
    """Let the stream of this thread wait for a batch, and its memory last until that stream is done with it."""
    stream = torch.cuda.current_stream(batch.hr.device)
    stream.wait_event(finished)
    for crops in batch:
        crops.record_stream(stream)


def _on_device(sampler: Source, step: int, batch: Batch, device: torch.device) -> Batch:
    pinned = [crops.pin_memory() if device.type == "cuda" else crops for crops in batch]
    hr, lr = (crops.to(device, non_blocking=True, memory_format=torch.channels_last) for crops in pinned)
    if not sampler.makes_lr or lr.numel():
        return Batch(hr, lr)
    from tvqsr.data.degrade import RECIPES, degrade

    recipe = RECIPES[sampler.training.degradation]
    made = degrade(hr, recipe, sampler.seeds(step), scale=sampler.scale)
    return Batch(hr, made.contiguous(memory_format=torch.channels_last))
