"""Names of the authors' released weights (github.com/CVL-UESTC/TVQ-RAP) for the parameters of our networks.

The released networks are flat lists of blocks; ours are nested by level. Both hold the same blocks in the same order,
so a released name follows from a block's position: `encoder.blocks.7.conv_out.weight` is the eighth block's shortcut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from tvqsr.contract import Trained
from tvqsr.nn.blocks import ChannelNorm, Down, ResBlock, Up
from tvqsr.nn.released import Names, taken_over
from tvqsr.nn.swin import SwinStack

from .predictor import Predictor, PredictorSettings
from .tokenizer import Tokenizer, TokenizerSettings
from .x_down import XDownDecoder, XDownEncoder

BLOCKS = (ResBlock, SwinStack, Down, Up, nn.Conv2d, nn.GroupNorm, ChannelNorm)


def tokenizer_names(tokenizer: Tokenizer) -> Names:
    """Names of the tokenizer's parameters in a released checkpoint."""
    encoder = _blocks([tokenizer.texture_encoder, tokenizer.structure_encoder], "encoder.blocks")
    decoder = (
        _blocks([part], f"generator.blocks_{number}")
        for number, part in enumerate((tokenizer.structure_path, tokenizer.fusion, tokenizer.image_path), 1)
    )
    (codebook,) = tokenizer.quantizer.vectors()
    names = {id(codebook): "quantize.embedding.weight"}
    for part in (encoder, *decoder):
        names |= part
    return _by_our_name(tokenizer, names)


def x_down_names(part: XDownEncoder | XDownDecoder) -> Names:
    """Names of a half of the X_down auto-encoder."""
    prefix = "lq_encoder" if isinstance(part, XDownEncoder) else "lq_generator"
    return _by_our_name(part, _blocks([part], f"{prefix}.blocks"))


def predictor_names(predictor: Predictor) -> Names:
    """Names of the predictor's parameters, without the tokenizer that its checkpoint carries along."""
    structure = list(_units(predictor.structure_encoder))
    head = predictor.head
    # The released network calls the last four residual blocks of the structure branch an extractor (`exactor`).
    names = _blocks([predictor.lr_encoder, *structure[:-4]], "lqencoder.blocks")
    names |= _blocks(structure[-4:], "exactor.blocks")
    names |= _blocks([head.fuse], "blocks_fuse")
    for number, stack in enumerate(head.swin):
        assert isinstance(stack, SwinStack)
        names |= _swin(stack, f"ft_layers_low.swin_blks.{number}")
    for module, name in ((head.norm, "idx_pred_layer_low.0"), (head.linear, "idx_pred_layer_low.1")):
        names |= {id(parameter): f"{name}.{key}" for key, parameter in module.named_parameters()}
    return _by_our_name(predictor, names)


def _by_our_name(module: nn.Module, names: dict[int, str]) -> Names:
    return {name: names[id(parameter)] for name, parameter in module.named_parameters()}


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """Blocks in their order, whatever they are nested in."""
    for child in module.children():
        if isinstance(child, BLOCKS):
            yield child
        else:
            yield from _units(child)


def _blocks(parts: list[nn.Module], prefix: str) -> dict[int, str]:
    """Released names by parameter identity; Swin stacks that follow each other share one number."""
    names: dict[int, str] = {}
    number, stacks = -1, 0
    for part in parts:
        for unit in [part] if isinstance(part, BLOCKS) else _units(part):
            stacks = stacks + 1 if isinstance(unit, SwinStack) else 0
            number += stacks <= 1
            if isinstance(unit, SwinStack):
                names |= _swin(unit, f"{prefix}.{number}.swin_blks.{stacks - 1}")
            else:
                names |= {id(p): f"{prefix}.{number}.{_within(unit, key)}" for key, p in unit.named_parameters()}
    return names


def _within(unit: nn.Module, key: str) -> str:
    if isinstance(unit, ResBlock):
        return key.replace("shortcut", "conv_out")
    if isinstance(unit, Down | Up):
        return f"conv.{key.rsplit('.', maxsplit=1)[-1]}"
    return key


def _swin(stack: SwinStack, prefix: str) -> dict[int, str]:
    return {
        id(parameter): f"{prefix}.{key}" if key.startswith("conv.") else f"{prefix}.residual_group.{key}"
        for key, parameter in stack.named_parameters()
    }


X_DOWN = ("lq_encoder.", "lq_generator.")
"""What a predictor's checkpoint carries along of the tokenizer's and inference never needs (the class inherits it)."""


def released(run: Trained, checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a run of this method from the authors' checkpoint of its stage.

    Those of a predictor hold the tokenizer that it was trained with, too: its own decoder, not another checkpoint's.
    """
    settings = TokenizerSettings(**run.needs.get("tokenizer", run).settings)
    tokenizer = Tokenizer(settings)
    parts: dict[str, tuple[nn.Module, Names]] = {"tokenizer": (tokenizer, tokenizer_names(tokenizer))}
    if run.stage == "tokenizer":
        encoder = XDownEncoder(settings.x_down_shape, settings.structure_channels)
        decoder = XDownDecoder(settings.x_down_shape, settings.structure_channels)
        parts |= {
            "x_down_encoder": (encoder, x_down_names(encoder)),
            "x_down_decoder": (decoder, x_down_names(decoder)),
        }
        return taken_over(parts, checkpoint)
    shaped_by = run.needs.get("predictor", run)
    predictor = Predictor(PredictorSettings(**shaped_by.settings), settings)
    parts["predictor"] = (predictor, predictor_names(predictor))
    return taken_over(parts, checkpoint, X_DOWN)
