"""Vanilla VQ: the whole image through one codebook, indices predicted by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.image_loss import ImageLossSettings
from tvqsr.nn.index_predictor import likeliest
from tvqsr.nn.vq_inference import PredictedCodes, Reconstruction
from tvqsr.nn.vq_settings import VqSettings
from tvqsr.nn.vq_tokenizer import Tokenizer, tokenizer_of

from .predictor import Predictor, PredictorSettings, Skips
from .stages import PredictorStage, SkipStage, TokenizerStage


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(VqSettings(**settings))
    tokenizer = tokenizer_of(needs["tokenizer"])
    if name == "predictor":
        return PredictorStage(PredictorSettings(**settings), tokenizer)
    return SkipStage(ImageLossSettings(**settings), _predictor(needs["predictor"]), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    if trained.stage == "tokenizer":
        tokenizer = tokenizer_of(trained)
        return Reconstruction(tokenizer, tokenizer.settings.hr_multiple)
    tokenizer, predictor = tokenizer_of(trained.needs["tokenizer"]), _predictor(trained)
    if trained.stage == "predictor":
        return SuperResolution(tokenizer, predictor)
    skips = Skips(tokenizer.settings.width)
    trained.load("skips", skips)
    return SkipSuperResolution(tokenizer, predictor, skips)


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

    def codes(self, image: Tensor) -> Indices:
        return likeliest(self.predictor(2 * image - 1))


class SkipSuperResolution(SuperResolution):
    """LR -> SR by the likeliest indices and by features that go round the codebook."""

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor, skips: Skips) -> None:
        super().__init__(tokenizer, predictor)
        self.skips = skips

    def forward(self, image: Tensor) -> Tensor:
        at_lr, texture = self.predictor.lr_encoder.levels(2 * image - 1)
        codes = self.quantizer.lookup(likeliest(self.predictor.head(texture)))
        at_quarter, at_eighth = self.skips(at_lr, texture)
        return (self.image_path(codes + at_eighth, at_quarter) + 1) / 2
