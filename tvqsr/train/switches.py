"""What makes a training faster on some machines: compiled blocks, TF32."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from tvqsr.nn.blocks import ResBlock
from tvqsr.nn.rrdb import DenseBlock
from tvqsr.nn.swin import Mlp

BLOCKS = (ResBlock, Mlp, DenseBlock)
"""Compiled one by one: a network has dozens of each and few of other shapes, so that compiling takes less long."""
SHAPES = 256
"""Shapes, layouts and players that a block's code may be compiled for; torch gives up after 8."""


def compile_blocks(module: nn.Module, cache: Path | None = None) -> int:
    """Let torch compile the blocks of a module when they are first used, for fixed shapes; their number.

    What is compiled is kept for the next attempt, in the user's own cache unless told. Weights and their names stay.
    """
    import torch._dynamo

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str((cache or own_cache()).resolve())
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = SHAPES
    blocks = [part for part in module.modules() if isinstance(part, BLOCKS)]
    for block in blocks:
        block.compile(dynamic=False)
    return len(blocks)


def own_cache() -> Path:
    """Folder of compiled code, which this user alone may write to: $TORCHINDUCTOR_CACHE_DIR, else in the user's cache.

    torch runs what it finds there. Results folders come from others, too.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "tvqsr", "compiled")
    folder = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR", cache)).expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """Matrix products in TF32 where a training's precision is `tf32`, else in full fp32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
