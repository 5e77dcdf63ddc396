"""TVQ&RAP: texture vector quantisation and reconstruction-aware prediction (arXiv 2509.23774)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Stage, Trained, Upscaler
from tvqsr.nn.image_loss import ImageLossSettings

from .predictor import Predictor, PredictorSettings
from .released import released
from .stages import PredictorStage, RapStage, TokenizerStage
from .tokenizer import Tokenizer, TokenizerSettings

__all__ = ["released", "stage", "upscaler"]


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(TokenizerSettings(**settings))
    tokenizer = _tokenizer(needs["tokenizer"])
    if name == "predictor":
        return PredictorStage(PredictorSettings(**settings), tokenizer)
    return RapStage(ImageLossSettings(**settings), _predictor(needs["predictor"]), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        return Reconstruction(trained)
    return SuperResolution(trained)


def _tokenizer(trained: Trained) -> Tokenizer:
    tokenizer = Tokenizer(TokenizerSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer


def _predictor(trained: Trained) -> Predictor:
    """The predictor of a run of `predictor` or `rap`; the latter's sizes are those of the predictor it started from."""
    shaped_by = trained.needs.get("predictor", trained)
    tokenizer = TokenizerSettings(**trained.needs["tokenizer"].settings)
    predictor = Predictor(PredictorSettings(**shaped_by.settings), tokenizer)
    trained.load("predictor", predictor)
    return predictor


class Reconstruction(Upscaler):
    """HR -> HR through the tokenizer: the ceiling of its predictor."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.tokenizer = _tokenizer(trained)
        self.codebook_size = trained.settings["codebook_size"]
        self.multiple = 32 * trained.settings["window"]

    def forward(self, image: Tensor) -> Tensor:
        return (self.tokenizer(2 * image - 1) + 1) / 2

    def codes(self, image: Tensor) -> Tensor:
        return self.tokenizer.encode(2 * image - 1).texture.indices


class SuperResolution(Upscaler):
    """LR -> SR by the likeliest indices.

    LR is padded to whole windows: multiples of 64 for the paper's window of 8 (released code).
    """

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.predictor = _predictor(trained)
        tokenizer = _tokenizer(trained.needs["tokenizer"])
        self.structure_path, self.image_path, self.quantizer = (
            tokenizer.structure_path,
            tokenizer.image_path,
            tokenizer.quantizer,
        )
        # Only asked for HR's own indices: kept out of the module tree, since inference does not need it.
        self._reference = [tokenizer]
        self.codebook_size = trained.needs["tokenizer"].settings["codebook_size"]
        self.multiple = 8 * trained.needs["tokenizer"].settings["window"]

    def forward(self, image: Tensor) -> Tensor:
        predicted = self.predictor(2 * image - 1, self.structure_path)
        codes = self.quantizer.lookup(predicted.logits.argmax(dim=1))
        return (self.image_path(predicted.structure + codes) + 1) / 2

    def codes(self, image: Tensor) -> Tensor:
        indices: Tensor = self.predictor(2 * image - 1, self.structure_path).logits.argmax(dim=1)
        return indices

    def codes_of_hr(self, hr: Tensor) -> Tensor:
        return self._reference[0].encode(2 * hr - 1).texture.indices
