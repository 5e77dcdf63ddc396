"""Losses whose gradient is asked for more than once, computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def with_kept_gradient(loss: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """`loss(image)`, a scalar, whose gradient for the image is computed at once and kept.

    Going back through it costs nothing, as often as one likes, and what the loss needed for that is freed before what
    follows. For losses that move no parameters of their own.
    """
    if not (torch.is_grad_enabled() and image.requires_grad):
        return loss(image)
    leaf = image.detach().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return _Kept.apply(image, value.detach(), gradient)


class _Kept(torch.autograd.Function):
    """A value with a known gradient."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (upstream * gradient).to(gradient.dtype), None, None
