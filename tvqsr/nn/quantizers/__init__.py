"""The family of quantisers: what the setting `quantizer` may be, behind one interface (`tvqsr.nn.quantize`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tvqsr.contract import Codebook
from tvqsr.errors import UserError
from tvqsr.nn.quantize import LossConvention, Quantizer, VectorQuantizer

QuantizerKind = Literal["vq", "vq_ema", "rq", "grouped", "hierarchical", "fsq", "lfq", "simvq", "rotation"]

FSQ_LEVELS = {
    16: (4, 4),
    64: (8, 8),
    240: (8, 6, 5),
    1000: (8, 5, 5, 5),
    4375: (7, 5, 5, 5, 5),
    15360: (8, 8, 8, 6, 5),
    64000: (8, 8, 8, 5, 5, 5),
}
"""Codes -> levels: from 240 on the paper's choices for 2^8, 2^10, 2^12, 2^14 and 2^16; smaller ones are ours."""

COUNTED = ("rq", "grouped")
"""Kinds with as many codebooks as one likes."""


@dataclass(frozen=True)
class QuantizerSpec:
    """What a quantiser is made of; `new_quantizer` makes it.

    `size`: codes of each codebook. `count`: codebooks, the depth of `rq` and the groups of `grouped`. `dim`: channels
    of the features. Raises UserError where kind, size and count do not go together.
    """

    kind: QuantizerKind
    size: int
    count: int
    dim: int
    convention: LossConvention
    quantize_from: int = 0

    def __post_init__(self) -> None:
        fixed = 2 if self.kind == "hierarchical" else 1
        if self.kind not in COUNTED and self.count != fixed:
            raise UserError(
                f"codebook_count: quantizer `{self.kind}` has {fixed}, found {self.count}; "
                f"leave it at {fixed}, or take one of {', '.join(COUNTED)}"
            )
        if self.kind == "fsq" and self.size not in FSQ_LEVELS:
            known = ", ".join(map(str, FSQ_LEVELS))
            raise UserError(f"codebook_size: quantizer `fsq` has no levels for {self.size} codes; take one of {known}")
        if self.kind == "lfq" and self.size.bit_count() != 1:
            raise UserError(f"codebook_size: quantizer `lfq` needs a power of two, found {self.size}")

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        """The codebooks that the quantiser will have."""
        if self.kind == "hierarchical":
            return (Codebook(self.size, 16), Codebook(self.size))
        return (Codebook(self.size),) * self.count


def new_quantizer(spec: QuantizerSpec) -> Quantizer:
    """The quantiser of a kind, not yet trained."""
    # Imported where needed: vector-quantize-pytorch, on which some kinds stand, takes seconds.
    size, dim, learning = spec.size, spec.dim, (spec.convention, spec.quantize_from)
    match spec.kind:
        case "vq":
            return VectorQuantizer(size, dim, *learning)
        case "vq_ema":
            from tvqsr.nn.quantizers.ema import EmaQuantizer

            return EmaQuantizer(size, dim, *learning)
        case "rq":
            from tvqsr.nn.quantizers.residual import ResidualQuantizer

            return ResidualQuantizer(size, spec.count, dim, *learning)
        case "grouped":
            from tvqsr.nn.quantizers.grouped import GroupedQuantizer

            return GroupedQuantizer(size, spec.count, dim, *learning)
        case "hierarchical":
            from tvqsr.nn.quantizers.hierarchical import HierarchicalQuantizer

            return HierarchicalQuantizer(size, dim, *learning)
        case "fsq":
            from tvqsr.nn.quantizers.fsq import FiniteScalarQuantizer

            return FiniteScalarQuantizer(FSQ_LEVELS[size], dim, spec.quantize_from)
        case "lfq":
            from tvqsr.nn.quantizers.lfq import LookupFreeQuantizer

            return LookupFreeQuantizer(size, dim, spec.quantize_from)
        case "simvq":
            from tvqsr.nn.quantizers.simvq import SimVectorQuantizer

            return SimVectorQuantizer(size, dim, *learning)
        case "rotation":
            from tvqsr.nn.quantizers.rotation import RotationQuantizer

            return RotationQuantizer(size, dim, *learning)
