"""No number that is not finite goes on: losses are watched at every step, weights before they are kept.

A step is watched on the device, without waiting for it: the first bad step and its losses stay there until the loop
reads them, where it waits anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from tvqsr.contract import Terms
from tvqsr.data.crops import Batch
from tvqsr.errors import UserError
from tvqsr.nn.across import min_over_processes, sum_over_processes

Kept = Callable[[], Mapping[str, object]]
"""State dicts of all that a checkpoint holds, as they stand."""
NEVER = 2**62
"""As the first bad step: none so far."""


class NotFiniteError(UserError):
    """A loss or a weight that is not finite: of which step, counted from 1, and whether that is the first such step.

    `device` is where the step was done.
    """

    def __init__(self, message: str, step: int, exact: bool, device: torch.device) -> None:
        super().__init__(message)
        self.step, self.exact, self.device = step, exact, device


class Guard:
    """Watches a training. What has nothing to do here is for who replays a step (`tvqsr.train.replay`)."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._first = torch.full((), NEVER, dtype=torch.int64)
        self._values: dict[tuple[str, ...], Tensor] = {}
        """Losses of a player in the first bad step, by their names; zeros until there is one."""

    def begin(self, step: int, batch: Batch) -> None:
        """A step, counted from 0, is about to be done."""

    def losses(self, player: str, step: int, losses: Terms) -> None:
        """Note a player's losses of a step."""
        values = torch.stack([value.detach().float() for value in losses.values()])
        first = torch.where(values.isfinite().all(), NEVER, step + 1)
        self._first = self._first.to(first.device, non_blocking=True)
        names = tuple(f"{player}/{name}" for name in losses)
        before = self._values.get(names)
        kept = torch.zeros_like(values) if before is None else before
        self._values[names] = torch.where(first < self._first, values, kept)
        self._first = torch.minimum(self._first, first)

    def backward(self, player: str) -> None:
        """A player's gradients are there, before they are clipped."""

    def end(self, step: int, kept: Kept) -> None:
        """A step is done; `kept` as in `check_kept`."""

    def check_losses(self) -> None:
        """Raise NotFiniteError if a loss of any step so far was not finite. Waits for the device."""
        if not self._values:
            return  # no step was done, by no process: there is nothing on a device that they could compare
        first = int(min_over_processes(self._first))
        if first == NEVER:
            return
        # A process that was spoilt by another's gradients keeps its losses of a later step, where every term is bad.
        met = self._first == first
        own = {names: torch.where(met, values, 0.0) for names, values in self._values.items()}
        summed = {names: sum_over_processes(values) for names, values in own.items()}
        read = [item for names, values in summed.items() for item in zip(names, values.tolist(), strict=True)]
        name, value = next((name, value) for name, value in read if not math.isfinite(value))
        raise NotFiniteError(
            f"{self.label}: {name} is {value} at step {first}; no weights were written; "
            f"lower learning_rate or the term's weight",
            first,
            exact=True,
            device=self._first.device,
        )

    def check_kept(self, done: int, kept: Kept) -> None:
        """Raise NotFiniteError if a loss so far, or a tensor of what is to be kept after `done` steps, is not finite.

        Waits for the device.
        """
        self.check_losses()
        if bad := first_not_finite(tensors_in(kept())):
            raise NotFiniteError(
                f"{self.label}: {bad} is not finite after step {done}; no weights were written; "
                f"lower learning_rate, or set clip_norm",
                done,
                exact=False,
                device=self._first.device,
            )


def tensors_in(value: object, name: str = "") -> Iterable[tuple[str, Tensor]]:
    """Tensors of floats in nested mappings, by the names that lead to them."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from tensors_in(inner, f"{name}.{key}" if name else str(key))


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Name of the first tensor with a value that is not finite; the host waits for the device once."""
    named = [(name, tensor) for name, tensor in tensors if tensor.numel()]
    if not named:
        return None
    finite = torch.stack([tensor.detach().isfinite().all() for _, tensor in named]).tolist()
    return next((name for (name, _), fine in zip(named, finite, strict=True) if not fine), None)
