"""Checks that a training can be repeated, saved and resumed to the bit."""

from __future__ import annotations

import pickle
import random
import signal
from contextlib import suppress

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from tvqsr.contract import Stage
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.testing.candidate import STEPS, Candidate, first_difference
from tvqsr.testing.outcome import FailureError
from tvqsr.train.weights import save_weights


def random_state(candidate: Candidate) -> None:
    """Random numbers are drawn from torch's generator alone, and nobody sets its seed.

    Its state is what the suite seeds, saves and restores; numpy's and Python's global states are not.
    """
    for name in candidate.stages():
        where, others, states = candidate.place(f"stage `{name}`"), _other_states(), []
        for seed in (0, 1):
            candidate.fit(candidate.run(name), seed)
            states.append(torch.get_rng_state())
        if torch.equal(states[0], states[1]):
            raise FailureError(f"{where}: sets torch's seed, so that all trainings are alike; leave that to the suite")
        if _other_states() != others:
            raise FailureError(
                f"{where}: draws from numpy's or Python's global generator, which is neither seeded nor saved; "
                f"draw from torch"
            )


def _other_states() -> bytes:
    return pickle.dumps((np.random.get_state(), random.getstate()))  # noqa: NPY002  the global one is meant


def seeds(candidate: Candidate) -> None:
    """One seed gives the same weights to the bit when trained again; another seed gives others."""
    for name in candidate.stages():
        run, where = candidate.run(name), candidate.place(f"stage `{name}`")
        first, again, other = (candidate.fit(run, seed).weights for seed in (0, 0, 1))
        if changed := first_difference(first, again):
            raise FailureError(
                f"{where}: `{changed}` differs between two trainings with seed 0; something random does not come from "
                f"torch's own generator, or is kept from one training to the next"
            )
        if first_difference(first, other) is None:
            raise FailureError(f"{where}: seeds 0 and 1 give the same weights; draw them from torch's generator")


def buffers(candidate: Candidate) -> None:
    """All that training changes in the networks is saved with them, and comes back from the file to the bit."""
    for name in candidate.stages():
        before, after, result = candidate.watched(name, _unsaved)
        if changed := first_difference(before, after):
            raise FailureError(
                f"{candidate.place(f'stage `{name}`')}: tensor `{changed}` changes in training but is not saved; "
                f"register it with register_buffer(..., persistent=True)"
            )
        file = candidate.work / f"{name}.safetensors"
        save_weights(file, result.weights, name)
        if changed := first_difference(result.weights, load_file(file)):
            raise FailureError(f"{candidate.place(f'stage `{name}`')}: `{changed}` is not the same after saving")


def _unsaved(stage: Stage) -> dict[str, Tensor]:
    """Tensors that the networks' modules hold but do not save: plain attributes and non-persistent buffers."""
    found = {}
    for prefix, module in stage.networks.named_modules():
        kept = {key for key, _ in module.named_parameters(recurse=False)} | set(module.state_dict())
        held = {**vars(module), **dict(module.named_buffers(recurse=False))}
        found.update({f"{prefix}.{key}": value for key, value in held.items() if isinstance(value, Tensor) and key not in kept})
    return found


class Interrupting(CropSampler):
    """Crops that come with a SIGTERM in the middle of the training."""

    def batch(self, step: int) -> Batch:
        if step == STEPS // 2:
            signal.raise_signal(signal.SIGTERM)
        return super().batch(step)


def resume(candidate: Candidate) -> None:
    """A training that is interrupted and run again gives the weights and curve of an undisturbed one, to the bit."""
    for name in candidate.stages():
        run, where = candidate.run(name), candidate.place(f"stage `{name}`")
        whole, state = candidate.fit(run), candidate.work / f"interrupted.{name}"
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
