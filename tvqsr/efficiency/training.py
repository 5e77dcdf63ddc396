"""Memory and work of a training step, computed on shapes alone: in seconds, on any machine, without the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tvqsr.contract import Stage
from tvqsr.data.crops import Batch
from tvqsr.nn.swin import forget_masks
from tvqsr.train.switches import matrix_products

SCALE = 4
ADAM_MOMENTS = 2


def training_memory(stage: Stage, batch_size: int, hr_crop: int, step: int) -> dict[str, Any]:
    """MiB that a step holds in fp32, at `step` (counted from 0; a late one has all losses on).

    Weights with buffers and frozen networks, gradients and Adam's moments of all that moves, the running average, and
    per player what its losses save for backward. Left out: the gradients on the way back, workspaces, and what the
    device's runtime takes for itself.
    """
    moving = [_size(stage.moved_by(player)) for player in stage.players]
    parts = {
        "weights": sum(_bytes(t) for t in _own(stage)),
        "gradients": sum(moving),
        "adam": ADAM_MOMENTS * sum(moving),
        "running_average": _size(stage.moved_by(stage.generator)),
    }
    saved = {player: saved_bytes(stage, player, batch_size, hr_crop, step) for player in stage.players}
    total = sum(parts.values()) + max(saved.values())
    return {
        **{name: _mib(value) for name, value in parts.items()},
        "saved_for_backward": {player: _mib(value) for player, value in saved.items()},
        "total": _mib(total),
    }


def saved_bytes(stage: Stage, player: str, batch_size: int, hr_crop: int, step: int, fake: bool = True) -> int:
    """Bytes of the storages, each counted once, that a player's losses save for backward beside the weights.

    With `fake`, tensors have shapes but no values (torch's FakeTensorMode); without, the losses are really computed.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True) if fake else None
    own = _own(stage)
    if mode:
        own += [mode.from_tensor(tensor) for tensor in own]
    # Keyed by address, with the storage as value: kept alive, its address is not given to another one.
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        # Itself, what made it would hold it and be held by it for good, with all weights.
        return tensor.detach()

    context: AbstractContextManager[Any] = mode or nullcontext()
    try:
        with context:
            batch = _noise(batch_size, hr_crop)
            if player != stage.generator:
                # The generator moves first: it leaves the image that the others judge.
                _let_move(stage, stage.generator)
                stage(stage.generator, batch, step)
            _let_move(stage, player)
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                stage(player, batch, step)
    finally:
        if mode:
            forget_masks()
    for tensor in own:
        saved.pop(tensor.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in saved.values())


def step_flops(stage: Stage, batch_size: int, hr_crop: int, step: int, precision: str = "32-true") -> Counter[str]:
    """Floating-point operations of a step, by the rate at which a GPU does them: `fp32`, `tf32` or `bf16`.

    Of all players, forward and backward, in a training's `precision`: two for each multiply-add. Counted by torch's
    formulas: convolutions, matrix products and attention. Left out: the optimiser, norms, pointwise work.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), _as_on_gpu(precision), Operations() as counted:
            batch = _noise(batch_size, hr_crop)
            for player in stage.players:
                _let_move(stage, player)
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                    losses = stage(player, batch, step)
                if losses:
                    moved = list(stage.moved_by(player).parameters())
                    torch.autograd.grad(torch.stack(list(losses.values())).sum(), moved, allow_unused=True)
    finally:
        forget_masks()
    return counted.flops


class Operations(TorchDispatchMode):
    """Adds up what is computed under it, by the rate at which a GPU would do so.

    FlopCounterMode does so module by module, and cannot follow a parameter that is a module's input back to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.flops[_rate(func, args[0].dtype)] += formula(*args, **(kwargs or {}), out_val=made)
        return made


def _rate(func: Any, dtype: torch.dtype) -> str:
    """Torch lets a GPU's convolutions in fp32 use TF32 by itself, matrix products and attention where it is told to."""
    if dtype == torch.bfloat16:
        return "bf16"
    convolution = "conv" in func._overloadpacket.__name__
    return "tf32" if convolution or torch.get_float32_matmul_precision() != "highest" else "fp32"


@contextmanager
def _as_on_gpu(precision: str) -> Iterator[None]:
    """Matrix products as a training in that precision has them, and attention in bf16 that is not done in fp32.

    A CPU, and so the shapes of one, would do the latter where a position bias learns; GPUs have a kernel for it.
    """
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with matrix_products(precision):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


def _noise(batch_size: int, hr_crop: int) -> Batch:
    lr_crop = hr_crop // SCALE
    return Batch(torch.rand(batch_size, 3, hr_crop, hr_crop), torch.rand(batch_size, 3, lr_crop, lr_crop))


def _let_move(stage: Stage, player: str) -> None:
    stage.requires_grad_(False)
    stage.moved_by(player).requires_grad_(True)


def _own(stage: Stage) -> list[Tensor]:
    return [*stage.parameters(), *stage.buffers()]


def _size(module: torch.nn.Module) -> int:
    return sum(_bytes(parameter) for parameter in module.parameters())


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _mib(value: int) -> float:
    return round(value / 2**20, 1)
