"""How networks start."""

from __future__ import annotations

from typing import Literal

from torch import nn

from tvqsr.nn.blocks import ResBlock
from tvqsr.nn.swin import SwinBlock

ResidualInit = Literal["default", "zero"]


def start_residuals(module: nn.Module, kind: ResidualInit) -> None:
    """Leave residual branches at torch's defaults (published), or zero the last layer of each.

    Zeroed, a network starts shallow and deepens as it learns, as in Fixup (arXiv 1901.09321) and diffusion U-Nets: a
    training of minutes gets several times as far.
    """
    if kind == "default":
        return
    for part in module.modules():
        exits: list[nn.Conv2d | nn.Linear] = []
        if isinstance(part, ResBlock):
            exits = [part.conv2]
        elif isinstance(part, SwinBlock):
            exits = [part.attn.proj, part.mlp.fc2]
        for layer in exits:
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
