"""Checks that a training can be repeated, saved and resumed to the bit."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import suppress

import torch
from safetensors.torch import load_file
from torch import Tensor

from tvqsr.data.crops import Batch, CropSampler
from tvqsr.testing.candidate import Candidate, first_difference
from tvqsr.testing.outcome import FailureError
from tvqsr.train.weights import save_weights


def random_state(candidate: Candidate) -> None:
    """Random numbers are drawn from torch's generator alone, and nobody sets its seed.

    Its state is what the suite seeds, saves and restores; numpy's and Python's global states are not.
    """
    for name in candidate.stages():
        where, run = candidate.place(f"stage `{name}`"), candidate.run(name)
        trainings = [candidate.training(run, seed) for seed in (0, 1)]
        if torch.equal(*(training.random_state for training in trainings)):
            raise FailureError(f"{where}: sets torch's seed, so that all trainings are alike; leave that to the suite")
        if not all(training.others_untouched for training in trainings):
            raise FailureError(
                f"{where}: draws from numpy's or Python's global generator, which is neither seeded nor saved; "
                f"draw from torch"
            )


def seeds(candidate: Candidate) -> None:
    """One seed gives the same weights to the bit when trained again, and networks that start afresh follow it."""
    for name in candidate.stages():
        run, where = candidate.run(name), candidate.place(f"stage `{name}`")
        first, again = candidate.training(run), candidate.fit(run).weights
        if changed := first_difference(first.fit.weights, again):
            raise FailureError(
                f"{where}: `{changed}` differs between two trainings with seed 0; something random does not come from "
                f"torch's own generator, or is kept from one training to the next"
            )
        if not run.needs and first_difference(first.tensors[0], candidate.training(run, 1).tensors[0]) is None:
            raise FailureError(f"{where}: starts with the same weights for seeds 0 and 1; draw from torch's generator")


def buffers(candidate: Candidate) -> None:
    """All that training changes in the networks is saved with them, and comes back from the file to the bit."""
    for name in candidate.stages():
        training = candidate.training(candidate.run(name))
        saved = {f"networks.{key}" for key in training.stage.networks.state_dict()}
        if changed := first_difference(*(_unsaved(tensors, saved) for tensors in training.tensors)):
            raise FailureError(
                f"{candidate.place(f'stage `{name}`')}: tensor `{changed}` changes in training but is not saved; "
                f"register it with register_buffer(..., persistent=True)"
            )
        file = candidate.work / f"{name}.safetensors"
        save_weights(file, training.fit.weights, name)
        if changed := first_difference(training.fit.weights, load_file(file)):
            raise FailureError(f"{candidate.place(f'stage `{name}`')}: `{changed}` is not the same after saving")


def _unsaved(tensors: Mapping[str, Tensor], saved: set[str]) -> dict[str, Tensor]:
    """Buffers of the networks that are not saved."""
    return {key: value for key, value in tensors.items() if key.startswith("networks.") and key not in saved}


class Interrupting(CropSampler):
    """Crops whose first batch comes with a SIGTERM: the loop ends that step, saves and stops."""

    def batch(self, step: int) -> Batch:
        if step == 0:
            signal.raise_signal(signal.SIGTERM)
        return super().batch(step)


def resume(candidate: Candidate) -> None:
    """A training that is interrupted and run again gives the weights and curve of an undisturbed one, to the bit."""
    for name in candidate.stages():
        run, where = candidate.run(name), candidate.place(f"stage `{name}`")
        whole, state = candidate.training(run).fit, candidate.work / f"interrupted.{name}"
        with suppress(SystemExit):
            candidate.fit(run, sampler=candidate.sampler(run, kind=Interrupting), state=state)
            raise FailureError(f"{where}: SIGTERM did not stop the training; leave signals to the suite")
        resumed = candidate.fit(run, state=state)
        changed = first_difference(whole.weights, resumed.weights)
        if changed or whole.curve != resumed.curve:
            what = f"`{changed}`" if changed else "the loss curve"
            raise FailureError(
                f"{where}: {what} differs after an interruption; what a step needs of earlier ones must be a buffer of "
                f"`networks`, no attribute of the stage"
            )
