"""TVQ&RAP: texture vector quantisation and reconstruction-aware prediction (arXiv 2509.23774)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.index_predictor import likeliest
from tvqsr.nn.vq_inference import PredictedCodes, Reconstruction

from .predictor import Prediction, Predictor, PredictorSettings
from .released import released
from .stages import PredictorStage, RapSettings, RapStage, TokenizerStage
from .tokenizer import Tokenizer, TokenizerSettings
from .x_down import XDownDecoder, XDownEncoder

__all__ = ["released", "stage", "upscaler"]


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(TokenizerSettings(**settings))
    tokenizer = _tokenizer(needs["tokenizer"])
    if name == "predictor":
        return PredictorStage(PredictorSettings(**settings), tokenizer)
    return RapStage(RapSettings(**settings), _predictor(needs["predictor"]), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        return TokenizerReconstruction(_tokenizer(trained))
    return SuperResolution(_tokenizer(trained), _predictor(trained))


def _tokenizer(trained: Trained) -> Tokenizer:
    """The tokenizer of a run: its own, or the one that it needs; released predictors carry theirs along."""
    holder = trained if trained.holds("tokenizer") else trained.needs["tokenizer"]
    tokenizer = Tokenizer(TokenizerSettings(**trained.needs.get("tokenizer", trained).settings))
    holder.load("tokenizer", tokenizer)
    return tokenizer


def _predictor(trained: Trained) -> Predictor:
    """The predictor of a run of `predictor` or `rap`; the latter's sizes are those of the predictor it started from."""
    shaped_by = trained.needs.get("predictor", trained)
    tokenizer = TokenizerSettings(**trained.needs["tokenizer"].settings)
    predictor = Predictor(PredictorSettings(**shaped_by.settings), tokenizer)
    trained.load("predictor", predictor)
    return predictor


class TokenizerReconstruction(Reconstruction):
    """HR -> HR; the X_down auto-encoder, which only training needs, counts among the tokenizer's 35.56 M parameters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer, tokenizer.settings.hr_multiple)
        self.settings = tokenizer.settings

    def carried_along(self) -> list[nn.Module]:
        shape, channels = self.settings.x_down_shape, self.settings.structure_channels
        return [XDownEncoder(shape, channels), XDownDecoder(shape, channels)]


class SuperResolution(PredictedCodes):
    """LR -> SR by the likeliest indices and the predicted structure map."""

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__(tokenizer, tokenizer.settings.hr_multiple, predictor.settings.window)
        self.predictor, self.structure_path = predictor, tokenizer.structure_path

    def _predict(self, image: Tensor) -> Prediction:
        prediction: Prediction = self.predictor(2 * image - 1, self.structure_path)
        return prediction

    def forward(self, image: Tensor) -> Tensor:
        predicted = self._predict(image)
        codes = self.quantizer.lookup(likeliest(predicted.logits))
        return (self.image_path(predicted.structure + codes) + 1) / 2

    def carried_along(self) -> list[nn.Module]:
        """The layer before the codebook: with it the parameters are the 57 M that the paper reports."""
        tokenizer = self._reference[0]
        assert isinstance(tokenizer, Tokenizer)
        return [tokenizer.fusion]

    def codes(self, image: Tensor) -> Indices:
        return likeliest(self._predict(image).logits)
