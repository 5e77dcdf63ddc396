"""The codebook of LAR-SR's textural VQ-VAE."""

from __future__ import annotations

from tvqsr.contract import Codebook
from tvqsr.nn.quantize import CodeLoss
from tvqsr.nn.quantizers.ema import EmaQuantizer


class TextureQuantizer(EmaQuantizer):
    """Codes by running means as LAR-SR has them: they start as N(0, 1), and none is restarted (released code).

    Its loss is the commitment, not yet weighted. Counts start at one instead of the released code's zero, by which the
    first steps would divide, and throw every unused code out a hundred thousandfold.
    """

    FEWEST = 0.0

    def __init__(self, size: int, dim: int, stride: int, quantize_from: int = 0) -> None:
        super().__init__(size, dim, "textbook", quantize_from)
        self.codebooks = (Codebook(size, stride),)
        self.loss = CodeLoss(codebook=0.0, commitment=1.0)
        self.sums.copy_(self.codes.normal_())
