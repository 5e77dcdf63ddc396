"""CodeFormer-style index prediction on the tokenizer of vanilla VQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tvqsr.contract import Indices, Stage, Trained, Upscaler
from tvqsr.nn.index_predictor import likeliest
from tvqsr.nn.vq_inference import PredictedCodes
from tvqsr.nn.vq_settings import VqSettings
from tvqsr.nn.vq_tokenizer import Tokenizer, tokenizer_of

from .fusion import Fusion, FusionSettings
from .predictor import Predictor, PredictorSettings
from .stages import FusionStage, PredictorStage


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    tokenizer = tokenizer_of(needs["vq.tokenizer"])
    if name == "predictor":
        return PredictorStage(PredictorSettings(**settings), tokenizer)
    return FusionStage(FusionSettings(**settings), _predictor(needs["predictor"]), tokenizer)


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    tokenizer, predictor = tokenizer_of(trained.needs["vq.tokenizer"]), _predictor(trained)
    if trained.stage == "predictor":
        return SuperResolution(tokenizer, predictor)
    fusion = Fusion(tokenizer.settings.shape)
    trained.load("fusion", fusion)
    return FusedSuperResolution(tokenizer, predictor, fusion, FusionSettings(**trained.settings).fidelity)


def _predictor(trained: Trained) -> Predictor:
    """The predictor of a run of `predictor` or `fusion`; the latter is shaped like the predictor it started from."""
    shaped_by = trained.needs.get("predictor", trained)
    predictor = Predictor(PredictorSettings(**shaped_by.settings), VqSettings(**trained.needs["vq.tokenizer"].settings))
    trained.load("predictor", predictor)
    return predictor


class SuperResolution(PredictedCodes):
    """LR -> SR by the likeliest indices."""

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__(tokenizer, tokenizer.settings.hr_multiple, predictor.settings.window)
        self.predictor = predictor

    def codes(self, image: Tensor) -> Indices:
        return likeliest(self.predictor(2 * image - 1)[0])


class FusedSuperResolution(SuperResolution):
    """LR -> SR by the likeliest indices, with LR's features in the decoder."""

    def __init__(self, tokenizer: Tokenizer, predictor: Predictor, fusion: Fusion, fidelity: float) -> None:
        super().__init__(tokenizer, predictor)
        self.fusion, self.fidelity = fusion, fidelity

    def forward(self, image: Tensor) -> Tensor:
        logits, _, levels = self.predictor.levels(2 * image - 1)
        codes = self.quantizer.lookup(likeliest(logits))
        return (self.fusion(codes, self.image_path, levels, self.fidelity) + 1) / 2
