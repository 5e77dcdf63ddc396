"""What is computed over a whole batch, where a training spreads the batch over several processes.

Each process holds an equal share, in the batch's order. In one process everything here is what it is called after.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable


def processes() -> int:
    """How many processes this training is spread over."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def mean_over_processes(share: Tensor) -> Tensor:
    """Mean of the processes' tensors of one shape: of their means, the whole batch's. Gradients flow to every share."""
    if processes() == 1:
        return share
    total: Tensor = _Sum.apply(share)
    return total / processes()


@torch.no_grad()
def sum_over_processes(share: Tensor) -> Tensor:
    """Sum of the processes' tensors of one shape, without gradient."""
    if processes() == 1:
        return share
    total = share.contiguous().clone()
    distributed.all_reduce(total)
    return total


@torch.no_grad()
def min_over_processes(share: Tensor) -> Tensor:
    """Least of the processes' tensors of one shape, element by element."""
    if processes() == 1:
        return share
    least = share.contiguous().clone()
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    return least


def of_all_processes(share: Tensor) -> Tensor:
    """(N, ...) of each process -> (processes x N, ...) in the order of the whole batch, with gradients to each."""
    if processes() == 1:
        return share
    gathered: Tensor = _Gathered.apply(share)
    return gathered


class _Sum(torch.autograd.Function):
    """A sum over processes: what each loses by it, all do."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        return sum_over_processes(share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)


class _Gathered(torch.autograd.Function):
    """Shares one after the other: a process's own gets the gradients of all that were given it."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        parts = [torch.empty_like(share, memory_format=torch.contiguous_format) for _ in range(processes())]
        distributed.all_gather(parts, share.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient).chunk(processes())[distributed.get_rank()]


class Dropout(nn.Dropout):
    """torch's dropout, whose mask is drawn for the whole batch: all processes are in one random state.

    In the batch's order, too: torch draws in that of memory, so that a share laid out otherwise would have other masks.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (its name upstream)
        if not self.training or self.p == 0:
            return input
        shape = (processes() * len(input), *input.shape[1:])
        kept = torch.empty(shape, dtype=torch.bool, device=input.device).bernoulli_(1 - self.p)
        if processes() > 1:
            # A copy, so that the other shares' are not held until the gradient.
            kept = kept.chunk(processes())[distributed.get_rank()].clone()
        return torch.where(kept, input / (1 - self.p), 0)


class BatchNorm2d(nn.BatchNorm2d):
    """torch's batch norm, of the whole batch where its processes hold shares: on the CPU as well as on GPUs.

    `torch.nn.SyncBatchNorm` refuses the CPU, so what is tested without a GPU would not be what runs on one.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (its name upstream)
        if processes() == 1 or not self.training:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            x = input.float()
            mean = mean_over_processes(x.mean(dim=(0, 2, 3)))
            centred = x - mean[:, None, None]
            variance = mean_over_processes(centred.square().mean(dim=(0, 2, 3)))
            self._follow(mean.detach(), variance.detach(), processes() * x.numel() // x.shape[1])
            scale = self.weight * (variance + self.eps).rsqrt()
            return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics as torch does: the variance unbiased."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
