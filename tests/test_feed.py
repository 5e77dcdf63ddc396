"""Batches on the device: the same whoever makes them, and made ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.crops import training
from tvqsr.data.crops import CropSampler
from tvqsr.data.degrade import RECIPES, degrade
from tvqsr.data.feed import batches
from tvqsr.plan.training import LastPhase


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_come_in_order_whoever_cuts_them(crop_store: Path, workers: int) -> None:
    sampler = CropSampler(crop_store, training(32, 2), seed=0)
    fed = list(batches(sampler, 4, torch.device("cpu"), workers))
    assert len(fed) == 6
    assert all(torch.equal(batch.hr, sampler.batch(4 + i).hr) for i, batch in enumerate(fed))
    assert all(torch.equal(batch.lr, sampler.batch(4 + i).lr) for i, batch in enumerate(fed))


@pytest.mark.parametrize("start", [0, 3, 9])
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(
    ("crop", "degradation"), [("cut", "prepared"), ("cut", "realesrgan"), ("resized", "bsrgan"), ("rescaled", "bsrgan")]
)
def test_a_resumed_training_sees_the_batches_that_it_would_have(
    crop_store: Path, crop: str, degradation: str, workers: int, start: int
) -> None:
    """HR and LR, from any step on and whoever cuts them, into the last phase; of another seed they are others."""
    phase = LastPhase(iterations=2, batch_size=1, hr_crop=40)
    schedule = training(24, 3, "dihedral", crop=crop, degradation=degradation, last_phase=phase)
    cpu = torch.device("cpu")
    whole = list(batches(CropSampler(crop_store, schedule, seed=2), 0, cpu, 0))
    assert len(whole) == schedule.steps == 12
    resumed = list(batches(CropSampler(crop_store, schedule, seed=2), start, cpu, workers))
    assert len(resumed) == 12 - start
    for expected, found in zip(whole[start:], resumed, strict=True):
        assert torch.equal(expected.hr, found.hr)
        assert torch.equal(expected.lr, found.lr)
    assert len({batch.hr.numpy().tobytes() for batch in whole}) == 12
    other = next(batches(CropSampler(crop_store, schedule, seed=3), start, cpu, workers))
    assert not torch.equal(other.hr, resumed[0].hr)
    assert not torch.equal(other.lr, resumed[0].lr)


def test_the_next_batch_is_made_while_a_step_is_done(crop_store: Path) -> None:
    """Its LR, too, by another thread than the loop's; with no thread to spare, the loop makes it when it asks."""
    makers, made = dict[int, int](), {step: threading.Event() for step in range(10)}

    class Told(CropSampler):
        def seeds(self, step: int) -> list[list[int]]:
            makers[step] = threading.get_ident()
            made[step].set()
            return super().seeds(step)

    sampler = Told(crop_store, training(24, 2, degradation="realesrgan"), seed=0)
    feed = batches(sampler, 0, torch.device("cpu"), workers=4)
    for step in range(9):
        next(feed)
        assert made[step + 1].wait(60)
        assert step + 2 not in makers  # one batch more than the step's own, however many threads crop
    assert threading.get_ident() not in makers.values()

    makers.clear()
    alone = batches(sampler, 0, torch.device("cpu"), workers=0)
    next(alone)
    assert makers == {0: threading.get_ident()}


class Gpus:
    """Two GPUs, simulated: the current one of each thread, as CUDA has it, and those on which there is a context."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.thread, self.contexts = threading.local(), set[int]()
        stream = SimpleNamespace(device=torch.device("cuda", 1), record_event=lambda: None)
        patch.setattr(torch.cuda, "Stream", lambda _: stream)
        patch.setattr(torch.cuda, "set_device", lambda device: self.use(device.index))
        patch.setattr(torch.cuda, "stream", self.stream)

    def use(self, index: int) -> None:
        self.thread.current = index
        self.contexts.add(index)

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        before = getattr(self.thread, "current", 0)
        self.use(stream.device.index)
        yield
        self.use(before)


@pytest.mark.parametrize("workers", [0, 3])
def test_the_thread_that_makes_batches_keeps_to_the_gpu_of_its_process(
    crop_store: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Where it went back to the first one, every process of a training on several would hold a context there."""
    gpus = Gpus(monkeypatch)
    monkeypatch.setattr("tvqsr.data.feed._on_device", lambda sampler, step, batch, device: batch)
    gpus.use(1)  # as the loop's thread does
    sampler = CropSampler(crop_store, training(64, 2), seed=0)
    assert len(list(batches(sampler, 0, torch.device("cuda", 1), workers))) == 10
    assert gpus.contexts == {1}


LATE = 10**8
"""Clock cycles that a stream sleeps, some 50 ms: longer than a batch is made, or taken, otherwise."""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("late", ["feed", "loop"])
def test_a_batch_made_on_a_stream_of_its_own_is_whole_when_it_is_taken(
    crop_store: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """Where the feed is late, the loop has to wait for the batch; where the loop is, the batch's memory has to last."""
    sampler, device = CropSampler(crop_store, training(64, 8, degradation="realesrgan"), seed=0), torch.device("cuda")
    expected = [(batch.hr.cpu(), batch.lr.cpu()) for batch in batches(sampler, 0, device, 0)]

    def degraded(*arguments: Any, **more: Any) -> Tensor:
        lr = degrade(*arguments, **more)
        if late == "feed":
            torch.cuda._sleep(LATE)
        return lr.clone()  # asked for after the sleep, so that what of `degrade` may wait for the GPU hides nothing

    monkeypatch.setattr("tvqsr.data.degrade.degrade", degraded)
    found = []
    for batch in batches(sampler, 0, device, 3):
        if late == "loop":
            torch.cuda._sleep(LATE)
        found.append((batch.hr * 1, batch.lr * 1))
        del batch  # before its memory was read, where the loop is late
    assert all(
        torch.equal(a, b.cpu())
        for one, other in zip(expected, found, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_lr_made_in_training_is_of_the_crop_and_its_own_seed(crop_store: Path) -> None:
    schedule = training(64, 2, crop="resized", degradation="realesrgan")
    sampler = CropSampler(crop_store, schedule, seed=1)
    fed = list(batches(sampler, 0, torch.device("cpu"), 0))
    for step in (0, 7):
        hr = sampler.batch(step).hr
        assert torch.equal(fed[step].hr, hr)
        expected = degrade(hr, RECIPES["realesrgan"], [[1, step, 0, 1], [1, step, 1, 1]])
        assert torch.equal(fed[step].lr, expected)
    resumed = next(batches(sampler, 7, torch.device("cpu"), 2))
    assert torch.equal(resumed.lr, fed[7].lr)
