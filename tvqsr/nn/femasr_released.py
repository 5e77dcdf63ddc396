"""Names of FeMaSR's released weights (github.com/chaofengc/FeMaSR) for the parameters of its frame.

AdaCode's (github.com/kechunl/AdaCode) have the same for what it took over.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from tvqsr.nn.blocks import ResBlock
from tvqsr.nn.femasr_frame import HqEncoder, ImageDecoder, LqEncoder, SwinStacks
from tvqsr.nn.released import Names

RES_BLOCK = {"norm1": "conv.0.norm", "conv1": "conv.2", "norm2": "conv.3.norm", "conv2": "conv.5"}


def hq_encoder_names(encoder: HqEncoder, prefix: str) -> Names:
    """Names by our key below `prefix`."""
    head, *levels = encoder
    names = _same(head, f"{prefix}0", "multiscale_encoder.in_conv")
    for number, level in enumerate(levels):
        names |= _level(level, f"{prefix}{number + 1}", f"multiscale_encoder.blocks.{number}")
    return names


def lq_encoder_names(encoder: LqEncoder, prefix: str) -> Names:
    """Names by our key below `prefix`."""
    head, level = encoder.down
    names = _same(head, f"{prefix}down.0", "multiscale_encoder.in_conv")
    names |= _level(level, f"{prefix}down.1", "multiscale_encoder.blocks.0")
    names |= swin_names(encoder.swin, f"{prefix}swin", "multiscale_encoder.blocks.1")
    names |= _level(encoder.to_quarter, f"{prefix}to_quarter", "multiscale_encoder.blocks.2")
    return names | _level(encoder.to_half, f"{prefix}to_half", "multiscale_encoder.blocks.3")


def decoder_names(decoder: ImageDecoder, prefix: str) -> Names:
    """Names by our key below `prefix`."""
    names = _same(decoder.out, f"{prefix}out", "out_conv")
    for number, part in enumerate(("to_quarter", "to_half", "to_whole")):
        names |= _level(getattr(decoder, part), f"{prefix}{part}", f"decoder_group.{number}.block")
    return names


def swin_names(stacks: SwinStacks, ours: str, theirs: str) -> Names:
    """Names of Swin stacks, which the released networks keep one by one as `swin_blks`."""
    names: Names = {}
    for number, stack in enumerate(stacks):
        for key, _ in stack.named_parameters():
            inside = key if key.startswith("conv.") else f"residual_group.{key}"
            names[f"{ours}.{number}.{key}"] = f"{theirs}.swin_blks.{number}.{inside}"
    return names


def _same(module: nn.Module, ours: str, theirs: str) -> Names:
    return {f"{ours}.{key}": f"{theirs}.{key}" for key, _ in module.named_parameters()}


def _level(level: Any, ours: str, theirs: str) -> Names:
    """A level: resampling with a convolution, then residual blocks, which the released networks do not nest."""
    *resampling, blocks = level
    names: Names = {}
    for number, layer in enumerate(resampling):
        names |= _same(layer, f"{ours}.{number}", f"{theirs}.{number}")
    for number, block in enumerate(blocks):
        assert isinstance(block, ResBlock)
        for key, _ in block.named_parameters():
            layer_name, parameter = key.split(".")
            released = f"{theirs}.{len(resampling) + number}.{RES_BLOCK[layer_name]}.{parameter}"
            names[f"{ours}.{len(resampling)}.{number}.{key}"] = released
    return names
