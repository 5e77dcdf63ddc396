"""Small VQ: a convolutional tokenizer with codes at 1/8, and a predictor of those codes from LR by cross-entropy.

A method is `stage`, which makes what a training run trains, and `upscaler`, which makes images from finished runs.
Loop, precision, running averages, checkpoints, devices and seeds are the suite's; `tvqsr/contract.py` is the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Indices, Stage, Terms, Trained, Upscaler
from tvqsr.data.crops import Batch
from tvqsr.nn.quantize import Quantized, VectorQuantizer


def half(channels: int, out: int) -> nn.Sequential:
    """(B, channels, H, W) -> (B, out, H/2, W/2)."""
    return nn.Sequential(nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1))


def twice(channels: int, out: int) -> nn.Sequential:
    """(B, channels, H, W) -> (B, out, 2H, 2W)."""
    return nn.Sequential(nn.SiLU(), nn.Conv2d(channels, 4 * out, 3, padding=1), nn.PixelShuffle(2))


class Tokenizer(nn.Module):
    """HR in [-1, 1] (B, 3, H, W), sides multiples of 8 -> codes -> HR."""

    def __init__(self, width: int, codebook_size: int, quantize_from: int = 0) -> None:
        super().__init__()
        self.encoder = nn.Sequential(half(3, width), nn.SiLU(), half(width, width), nn.SiLU(), half(width, 2 * width))
        self.quantizer = VectorQuantizer(codebook_size, 2 * width, "textbook", quantize_from)
        self.decoder = nn.Sequential(twice(2 * width, width), twice(width, width), twice(width, 3))

    def encode(self, image: Tensor, step: int | None = None) -> Quantized:
        """Nearest codes (B, 2 width, H/8, W/8) and their indices; `step` is given in training."""
        return self.quantizer(self.encoder(image), step)


class Predictor(nn.Sequential):
    """LR in [-1, 1] (B, 3, h, w), sides multiples of 2 -> logits over the codebook (B, K, h/2, w/2)."""

    def __init__(self, width: int, codebook_size: int) -> None:
        super().__init__(
            nn.Conv2d(3, width, 3, padding=1),
            nn.SiLU(),
            half(width, 2 * width),
            nn.SiLU(),
            nn.Conv2d(2 * width, codebook_size, 1),
        )


class TokenizerStage(Stage):
    """Reconstruct HR through the codebook: mean squared error and the quantiser's own loss."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(networks={"tokenizer": tokenizer}, players={"generator": ("tokenizer",)})
        self.tokenizer = tokenizer

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real = 2 * batch.hr - 1
        quantized = self.tokenizer.encode(real, step)
        return {"pixel": F.mse_loss(self.tokenizer.decoder(quantized.codes), real), "vq": quantized.loss}


class PredictorStage(Stage):
    """Predict the frozen tokenizer's indices of HR from LR, by cross-entropy."""

    def __init__(self, predictor: Predictor, tokenizer: Tokenizer) -> None:
        super().__init__(networks={"predictor": predictor}, players={"generator": ("predictor",)})
        # A plain attribute, not in `networks`: used, but neither trained nor saved.
        self.tokenizer = tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        (indices,) = self.tokenizer.encode(2 * batch.hr - 1).indices
        return {"index": F.cross_entropy(self.networks["predictor"](2 * batch.lr - 1), indices)}


class Reconstruction(Upscaler):
    """HR -> HR through the codebook: the ceiling of any predictor."""

    multiple = 8

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer, self.codebooks = tokenizer, tokenizer.quantizer.codebooks

    def forward(self, image: Tensor) -> Tensor:
        return (self.tokenizer.decoder(self.tokenizer.encode(2 * image - 1).codes) + 1) / 2

    def codes(self, image: Tensor) -> Indices:
        return self.tokenizer.encode(2 * image - 1).indices


class SuperResolution(Reconstruction):
    """LR -> SR by the likeliest codes."""

    multiple = 2

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__(tokenizer)
        self.predictor = predictor

    def forward(self, image: Tensor) -> Tensor:
        return (self.tokenizer.decoder(self.tokenizer.quantizer.lookup(self.codes(image))) + 1) / 2

    def codes(self, image: Tensor) -> Indices:
        return (self.predictor(2 * image - 1).argmax(dim=1),)

    def codes_of_hr(self, hr: Tensor) -> Indices:
        return self.tokenizer.encode(2 * hr - 1).indices


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(Tokenizer(**settings))
    tokenizer = finished_tokenizer(needs["tokenizer"])
    return PredictorStage(Predictor(settings["width"], tokenizer.quantizer.codebooks[0].size), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        return Reconstruction(finished_tokenizer(trained))
    tokenizer = finished_tokenizer(trained.needs["tokenizer"])
    predictor = Predictor(trained.settings["width"], tokenizer.quantizer.codebooks[0].size)
    trained.load("predictor", predictor)
    return SuperResolution(tokenizer, predictor)


def finished_tokenizer(run: Trained) -> Tokenizer:
    """The tokenizer of a finished run, with its weights."""
    tokenizer = Tokenizer(**run.settings)
    run.load("tokenizer", tokenizer)
    return tokenizer
