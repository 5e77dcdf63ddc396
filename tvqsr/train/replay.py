"""One step of a stopped training again, from its last good checkpoint: which number is not finite first, and where."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from tvqsr.console import say
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.train.checkpoint import read_state, write_state
from tvqsr.train.failure import CHECKPOINT, FOLDER, Failure, device_name, read_failure, saved_batch
from tvqsr.train.guard import Guard, Kept, NotFiniteError, first_not_finite, tensors_in
from tvqsr.train.job import crops_of, fitting, training_key
from tvqsr.train.loop import fit
from tvqsr.train.saved import Saved


class ReplayedError(Exception):
    """The step was done; nothing after it is."""


class Replay(Guard):
    """Lets steps pass until one that is not finite, and tells all of that one."""

    def __init__(self, label: str, stage: Stage, failure: Failure, saved: bool) -> None:
        super().__init__(label)
        self.stage, self.failure, self.saved = stage, failure, saved
        self.lines: list[str] = []
        self.culprit: str | None = None
        # The first bad step is known, but where weights alone told: then each step is looked into.
        self.looking = False
        for name, module in stage.named_modules():
            module.register_forward_hook(lambda module, given, made, name=name: self._made(name, module, given, made))

    def begin(self, step: int, batch: Batch) -> None:
        self.looking = not self.failure.exact or step + 1 == self.failure.step
        here, given = device_name(batch.hr.device), self.saved and step + 1 == self.failure.step
        source = f"that was saved ({self.failure.batch})" if given else "made again"
        self.lines, self.culprit = [f"step {step + 1}, batch of {len(batch.hr)} {source}"], None
        if here != self.failure.device:
            self.lines.append(
                f"  trained on {self.failure.device}, done again on {here}: sums round otherwise, and LR made again "
                f"has other noise"
            )
        for name, crops in (("HR", batch.hr), ("LR", batch.lr)):
            if crops.numel():
                self.lines.append(f"  {name} {tuple(crops.shape)}: {_told(crops)}")

    def losses(self, player: str, step: int, losses: Terms) -> None:
        for name, value in losses.items():
            self.lines.append(f"  {player}/{name}: {float(value.detach()):.6g}")
        if self.culprit:
            self.lines.append(f"  first value that is not finite on the way to {player}'s losses: {self.culprit}")
        self.culprit = None
        super().losses(player, step, losses)

    def backward(self, player: str) -> None:
        parameters = list(self.stage.moved_by(player).named_parameters())
        for name in self.stage.players[player]:
            norm = _norm([p.grad for p in self.stage.networks[name].parameters() if p.grad is not None])
            self.lines.append(f"  {player}: gradient norm of {name} {norm:.6g}")
        gradients = [(name, parameter.grad) for name, parameter in parameters if parameter.grad is not None]
        # Backward goes from the last parameter to the first: the last one listed is where it began.
        if bad := first_not_finite(reversed(gradients)):
            self.lines.append(f"  {player}: first gradient that is not finite, from the loss on: {bad}")

    def end(self, step: int, kept: Kept) -> None:
        bad = first_not_finite(tensors_in(kept()))
        if bad:
            self.lines.append(f"  after the step, first tensor that is not finite: {bad}")
        try:
            self.check_losses()
        except NotFiniteError:
            bad = bad or "a loss"
        if bad or step + 1 == self.failure.step:
            if not bad:
                self.lines.append(
                    "  everything is finite this time: code, settings or data changed since, or the device's sums are "
                    "not the same every time"
                )
            raise ReplayedError

    def check_kept(self, done: int, kept: Kept) -> NoReturn:
        """Only a signal comes here: nothing is kept of a replay, so that it has no other checkpoints."""
        raise KeyboardInterrupt

    def _made(self, name: str, module: nn.Module, given: object, made: object) -> None:
        if not self.looking or self.culprit or (bad := _bad(made)) is None:
            return
        whence = "from finite inputs" if _bad(given) is None else "its inputs are not finite, either"
        weights = first_not_finite(module.named_parameters())
        of_weights = f"; its weight {weights} is not finite" if weights else ""
        self.culprit = f"output of `{name or 'the stage'}` ({type(module).__name__}), {bad}, {whence}{of_weights}"


def replay(plan: Plan, run_name: str, seed: int) -> list[str]:
    """Lines on the step at which a run stopped, done again on the batch that was saved.

    The steps before, from the checkpoint on, are done on batches made again; where the photos are not there any more,
    they are left out. Neither weights nor checkpoints are written.
    Raises UserError if no training of that run stopped at a value that is not finite.
    """
    run, folder = plan.run(run_name), plan.paths.run(run_name, seed)
    failure, saved = read_failure(folder), saved_batch(folder)
    checkpoint = folder / "state" / FOLDER / CHECKPOINT
    try:
        photos = crops_of(plan, run, seed)
        arguments = fitting(plan, run, seed, Saved(run.training, failure.step, saved, photos) if saved else photos)
        if training_key(plan, run, seed) != failure.key:
            say("code, settings or inputs changed since: this is the same step by today's")
        return _again(plan, failure, arguments, checkpoint)
    except UserError as error:
        if saved is None:
            raise
        arguments = fitting(plan, run, seed, Saved(run.training, failure.step, saved))
        return _alone(plan, failure, arguments, checkpoint, error)


def _alone(plan: Plan, failure: Failure, arguments: Mapping[str, Any], checkpoint: Path, why: UserError) -> list[str]:
    """The step on the batch saved and the checkpoint's weights, without the steps between. Raises `why` without."""
    state = read_state(checkpoint)
    if state is None and failure.step > 1:
        raise why
    before = state["step"] if state else 0
    others = "" if before == failure.step - 1 else f"; steps {before + 1} to {failure.step - 1} are left out"
    say(f"{why}; the batch saved is done alone, on the weights after step {before}{others}")
    with tempfile.TemporaryDirectory(prefix="tvqsr-replay-") as work:
        moved = Path(work, CHECKPOINT)
        if state:
            write_state(moved, state | {"step": failure.step - 1})
        return _again(plan, failure, arguments, moved)


def _again(plan: Plan, failure: Failure, arguments: Mapping[str, Any], checkpoint: Path) -> list[str]:
    watches: list[Replay] = []

    def watch(label: str, stage: Stage) -> Replay:
        watches.append(Replay(label, stage, failure, isinstance(arguments["sampler"], Saved)))
        return watches[-1]

    with tempfile.TemporaryDirectory(prefix="tvqsr-replay-") as work:
        if checkpoint.is_file():
            Path(work, CHECKPOINT).symlink_to(checkpoint.resolve())
        alone = plan.preset.runtime.model_copy(update={"processes": 1, "checkpoint_seconds": math.inf})
        with suppress(ReplayedError):
            fit(**{**arguments, "state": Path(work), "key": failure.key, "runtime": alone}, guard=watch)
    return [failure.message, *watches[0].lines]


def _flat(value: object) -> Iterator[Tensor]:
    """Tensors of floats in nested sequences and mappings."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _flat(inner)
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from _flat(inner)


def _bad(value: object) -> str | None:
    """What is not finite in the first such tensor; None if all is finite."""
    return next((_told(tensor) for tensor in _flat(value) if not bool(tensor.isfinite().all())), None)


def _told(tensor: Tensor) -> str:
    """Range of the finite values, and how many are not."""
    values = tensor.detach().float()
    finite = values[values.isfinite()]
    spread = f"{finite.min():.4g} to {finite.max():.4g}" if finite.numel() else "nothing finite"
    nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
    return f"{spread}, {nan} NaN, {infinite} infinite of {values.numel()}" if nan or infinite else spread


def _norm(gradients: list[Tensor]) -> float:
    return float(torch.stack([gradient.detach().float().norm() for gradient in gradients]).norm()) if gradients else 0.0
