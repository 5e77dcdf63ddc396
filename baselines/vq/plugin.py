"""Vanilla VQ: the whole image through one codebook, indices predicted by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Stage, Trained, Upscaler
from tvqsr.nn.vq_inference import PredictedCodes, Reconstruction
from tvqsr.nn.vq_settings import VqSettings

from .predictor import Predictor, PredictorSettings
from .stages import PredictorStage, TokenizerStage
from .tokenizer import Tokenizer


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(VqSettings(**settings))
    tokenizer = _tokenizer(needs["tokenizer"])
    return PredictorStage(PredictorSettings(**settings), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        tokenizer = _tokenizer(trained)
        return Reconstruction(tokenizer, tokenizer.settings.hr_multiple)
    return SuperResolution(_tokenizer(trained.needs["tokenizer"]), _predictor(trained))


def _tokenizer(trained: Trained) -> Tokenizer:
    tokenizer = Tokenizer(VqSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer


def _predictor(trained: Trained) -> Predictor:
    """The predictor of a run of `predictor` or `skip`; the latter is shaped like the predictor it started from."""
    shaped_by = trained.needs.get("predictor", trained)
    tokenizer = VqSettings(**trained.needs["tokenizer"].settings)
    predictor = Predictor(PredictorSettings(**shaped_by.settings), tokenizer)
    trained.load("predictor", predictor)
    return predictor


class SuperResolution(PredictedCodes):
    """LR -> SR by the likeliest indices."""

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__(tokenizer, tokenizer.settings.hr_multiple, predictor.settings.window)
        self.predictor = predictor

    def forward(self, image: Tensor) -> Tensor:
        return (self.image_path(self.quantizer.lookup(self.codes(image))) + 1) / 2

    def codes(self, image: Tensor) -> Tensor:
        indices: Tensor = self.predictor(2 * image - 1).argmax(dim=1)
        return indices
