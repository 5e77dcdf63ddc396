"""Batches on the device: the same whoever makes them, and made ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_made_on_a_stream_of_its_own_is_whole_when_it_is_taken(crop_store: Path) -> None:
    sampler, device = CropSampler(crop_store, training(64, 8, degradation="realesrgan"), seed=0), torch.device("cuda")
    expected = [(batch.hr.cpu(), batch.lr.cpu()) for batch in batches(sampler, 0, device, 0)]
    work = torch.rand(4096, 4096, device=device)
    found = []
    for batch in batches(sampler, 0, device, 3):
        for _ in range(20):
            work = (work @ work).tanh()  # the loop's stream is busy, and its memory is given back and taken
        found.append((batch.hr * 1, batch.lr * 1))
        del batch
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
