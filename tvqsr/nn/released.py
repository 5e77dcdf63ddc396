"""Taking over weights that a method's authors released, under their names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tvqsr.errors import UserError

Names = dict[str, str]
"""Our parameter name -> the released one."""

BUFFERS = ("relative_position_index", "attn_mask")
"""What released Swin layers save, though it follows from the window's size."""


def fill(module: nn.Module, names: Names, released: Mapping[str, Tensor]) -> None:
    """Copy released weights into a module. Raises UserError naming the first key that does not fit."""
    parameters = dict(module.named_parameters())
    for ours, theirs in names.items():
        if theirs not in released:
            raise UserError(f"released weights: no key `{theirs}`; they are of another network")
        found, expected = released[theirs], parameters[ours]
        if found.shape != expected.shape:
            shapes = f"{tuple(found.shape)} instead of {tuple(expected.shape)}"
            raise UserError(f"released weights: `{theirs}` is {shapes}; they are of another configuration")
        expected.data.copy_(found)


def taken_over(
    parts: Mapping[str, tuple[nn.Module, Names]], released: Mapping[str, Tensor], carried: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Fill parts, each with its names, and return their weights by `part.parameter`.

    Raises UserError naming the first released key that is missing, of another shape, or without a place, unless it
    begins as one of `carried` does: what the authors' class saves and inference never needs.
    """
    for module, names in parts.values():
        fill(module, names, released)
    used = {theirs for _, names in parts.values() for theirs in names.values()}
    for key in released:
        if key not in used and not key.endswith(BUFFERS) and not key.startswith(carried):
            raise UserError(f"released weights: `{key}` has no place in the network; they are of another network")
    return {f"{part}.{key}": value for part, (module, _) in parts.items() for key, value in module.state_dict().items()}
