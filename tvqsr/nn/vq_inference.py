"""Tokenizers of the texture auto-encoder's family in inference: what TVQ&RAP and its controls do alike."""

from __future__ import annotations

from abc import abstractmethod
from math import lcm

from torch import Tensor, nn

from tvqsr.contract import Indices, Upscaler
from tvqsr.nn.autoencoder import ImagePath
from tvqsr.nn.quantize import Quantizer


class VqTokenizer(nn.Module):
    """HR in [-1, 1] (B, 3, H, W) -> HR in nominal [-1, 1], by way of codes at 1/8."""

    quantizer: Quantizer
    image_path: ImagePath

    @abstractmethod
    def indices(self, image: Tensor) -> Indices:
        """Code indices of an image in [-1, 1] (B, 3, H, W)."""


class Reconstruction(Upscaler):
    """HR -> HR through a tokenizer: the ceiling of its predictors."""

    def __init__(self, tokenizer: VqTokenizer, hr_multiple: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.codebooks = tokenizer.quantizer.codebooks
        self.multiple = hr_multiple

    def forward(self, image: Tensor) -> Tensor:
        return (self.tokenizer(2 * image - 1) + 1) / 2

    def codes(self, image: Tensor) -> Indices:
        return self.tokenizer.indices(2 * image - 1)

    def code_vectors(self, indices: Indices) -> Tensor:
        return self.tokenizer.quantizer.lookup(indices)


class PredictedCodes(Upscaler):
    """LR -> SR by predicted indices. Subclasses write `codes`, and `forward` where the decoder is given more.

    LR is padded to what the tokenizer wants of HR and to whole windows of the predictor, whose maps lie at H/8:
    multiples of 64 for the paper's windows of 8 (released code).
    """

    def __init__(self, tokenizer: VqTokenizer, hr_multiple: int, predictor_window: int) -> None:
        super().__init__()
        self.quantizer, self.image_path = tokenizer.quantizer, tokenizer.image_path
        # Only asked for HR's own indices: kept out of the module tree, since inference does not need it.
        self._reference = [tokenizer]
        self.codebooks = tokenizer.quantizer.codebooks
        self.multiple = lcm(hr_multiple, 8 * predictor_window) // 4

    def forward(self, image: Tensor) -> Tensor:
        return (self.image_path(self.quantizer.lookup(self.codes(image))) + 1) / 2

    def codes_of_hr(self, hr: Tensor) -> Indices:
        # Outside the module tree, it has to be taken to the device by hand.
        return self._reference[0].to(hr.device).indices(2 * hr - 1)
