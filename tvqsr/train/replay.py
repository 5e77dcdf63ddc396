"""One step of a stopped training again, from its last good checkpoint: which number is not finite first, and where."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from tvqsr.console import say
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.plan import Plan
from tvqsr.train.failure import CHECKPOINT, FOLDER, Failure, read_failure
from tvqsr.train.guard import Guard, Kept, NotFiniteError, first_not_finite, tensors_in
from tvqsr.train.job import fitting
from tvqsr.train.loop import fit


class ReplayedError(Exception):
    """The step was done; nothing after it is."""


class Replay(Guard):
    """Lets steps pass until one that is not finite, and tells all of that one."""

    def __init__(self, label: str, stage: Stage, failure: Failure) -> None:
        super().__init__(label)
        self.stage, self.failure = stage, failure
        self.lines: list[str] = []
        self.culprit: str | None = None
        # The first bad step is known, but where weights alone told: then each step is looked into.
        self.looking = False
        for name, module in stage.named_modules():
            module.register_forward_hook(lambda module, given, made, name=name: self._made(name, module, given, made))

    def begin(self, step: int, batch: Batch) -> None:
        self.looking = not self.failure.exact or step + 1 == self.failure.step
        self.lines, self.culprit = [f"step {step + 1}, batch of {len(batch.hr)}"], None
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
        raise ReplayedError

    def _made(self, name: str, module: nn.Module, given: object, made: object) -> None:
        if not self.looking or self.culprit or (bad := _bad(made)) is None:
            return
        whence = "from finite inputs" if _bad(given) is None else "its inputs are not finite, either"
        weights = first_not_finite(module.named_parameters())
        of_weights = f"; its weight {weights} is not finite" if weights else ""
        self.culprit = f"output of `{name or 'the stage'}` ({type(module).__name__}), {bad}, {whence}{of_weights}"


def replay(plan: Plan, run: str, seed: int) -> list[str]:
    """Lines on the step at which a run stopped, done again. Neither weights nor checkpoints are written.

    Raises UserError if no training of that run stopped at a value that is not finite.
    """
    folder = plan.paths.run(run, seed)
    failure = read_failure(folder)
    arguments = fitting(plan, run, seed)
    if arguments["key"] != failure.key:
        say("code, settings or inputs changed since: this is the same step by today's")
    watches: list[Replay] = []

    def watch(label: str, stage: Stage) -> Replay:
        watches.append(Replay(label, stage, failure))
        return watches[-1]

    with tempfile.TemporaryDirectory(prefix="tvqsr-replay-") as work:
        checkpoint = folder / "state" / FOLDER / CHECKPOINT
        if checkpoint.is_file():
            Path(work, CHECKPOINT).symlink_to(checkpoint.resolve())
        with suppress(ReplayedError):
            alone = plan.preset.runtime.model_copy(update={"processes": 1})
            fit(**arguments | {"state": Path(work), "key": failure.key, "runtime": alone}, guard=watch)
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
