"""One training in several processes: each takes a share of every batch, and all stay alike.

Lightning Fabric starts them, by this process's own command line, and averages gradients. What the losses compute over
the whole batch is in `tvqsr/nn/across.py`.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed

from tvqsr.console import is_helper
from tvqsr.errors import UserError
from tvqsr.plan.preset import Runtime
from tvqsr.train.guard import NotFiniteError

FIRST = "TVQSR_FIRST_PROCESS"
"""The process that the others help, for them."""
PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux's prctl."""


def launched(runtime: Runtime, precision: Literal["32-true", "bf16-mixed"]) -> Fabric:
    """The loop's Fabric, in each of the processes that `runtime` asks for: what follows runs in all of them."""
    fabric = Fabric(
        accelerator="auto" if runtime.gpus else "cpu",
        devices=runtime.processes,
        # A player's turn leaves the others' parameters alone. Statistics are the whole batch's, so buffers stay alike.
        strategy=DDPStrategy(find_unused_parameters=True, forward_sync_buffers=False)
        if runtime.processes > 1
        else "auto",
        precision=precision,
        # A job of a cluster is one task there, whose processes are its own business.
        plugins=[LightningEnvironment()],
    )
    if is_helper():
        _end_with_the_first()
    else:
        os.environ[FIRST] = str(os.getpid())
    fabric.launch()
    if runtime.processes > 1:
        # Snakemake tells all of them the threads of the whole job.
        torch.set_num_threads(runtime.threads)
    return fabric


def _end_with_the_first() -> None:
    """A helper is killed with the process that started it, where Linux can: it would wait for it for half an hour.

    Before they are connected, too, where a process that was killed leaves its GPU to others at once.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != int(os.environ[FIRST]):
        raise SystemExit("the process that this one was to help is gone")


@contextmanager
def together(label: str, runtime: Runtime) -> Iterator[None]:
    """What ends a training in several processes, told once: by the first, or by the one that was alone to meet it.

    A value that is not finite all meet at once. That a process was lost is said in one line, where torch tells its side
    of a broken connection.
    """
    try:
        yield
    except NotFiniteError:
        if is_helper():
            # Not 2: Fabric would kill the first, which has to keep the step.
            raise SystemExit(0) from None
        raise
    except RuntimeError as error:
        if runtime.processes == 1 or not re.search(r"connection|socket|nccl|peer", str(error), re.IGNORECASE):
            raise
        raise UserError(
            f"{label}: one of its {runtime.processes} processes ended (killed? out of memory?), so all did; "
            f"run the same command to go on from the last checkpoint"
        ) from error


class Agreement:
    """What processes that must take the same steps decide together, without waiting for their devices."""

    def __init__(self, fabric: Fabric) -> None:
        self.alone = fabric.world_size == 1
        self._group = None if self.alone else cast("distributed.ProcessGroup", distributed.new_group(backend="gloo"))

    def largest(self, *values: int) -> list[int]:
        """The largest of each value over the processes."""
        if self.alone:
            return list(values)
        told = torch.tensor(values)
        distributed.all_reduce(told, distributed.ReduceOp.MAX, self._group)
        return [int(value) for value in told]

    def end(self) -> None:
        """Wait for the others; those that only helped end here, having nothing to write."""
        if self.alone:
            return
        distributed.barrier(self._group)
        if is_helper():
            raise SystemExit(0)


def mean_terms(fabric: Fabric, terms: dict[str, Tensor]) -> dict[str, float]:
    """Loss terms of the whole batch, by name. The host waits for the device here."""
    if not terms:
        return {}
    values = torch.stack([value.double() for value in terms.values()])
    reduced = fabric.all_reduce(values, reduce_op="mean")
    assert isinstance(reduced, Tensor)
    return dict(zip(terms, reduced.tolist(), strict=True))
