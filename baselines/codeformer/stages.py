"""The trainings of CodeFormer-style prediction: indices and features, then features into the decoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.contract import Indices, Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.image_loss import players
from tvqsr.nn.index_predictor import Logits, index_loss, likeliest
from tvqsr.nn.quantize import Quantizer
from tvqsr.nn.vq_tokenizer import Tokenizer

from .fusion import Fusion, FusionSettings, fusion_loss
from .predictor import Predictor, PredictorSettings


class PredictorStage(Stage):
    """Cross-entropy to HR's indices, and the encoder's features towards the code vectors that these name.

    Codebook and decoder stay frozen; the encoder starts as the trained tokenizer's.
    """

    def __init__(self, settings: PredictorSettings, tokenizer: Tokenizer) -> None:
        predictor = Predictor(settings, tokenizer.settings)
        predictor.start_from(tokenizer)
        super().__init__({"predictor": predictor}, {"generator": ("predictor",)})
        self.settings, self.tokenizer = settings, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        truth = self.tokenizer.indices(2 * batch.hr - 1)
        logits, features = self.networks["predictor"](2 * batch.lr - 1)
        return _code_terms(self.settings, logits, features, truth, self.tokenizer.quantizer)


class FusionStage(Stage):
    """Image losses on the decoder with LR's features; beside it, the losses of the predictor, which moves on.

    Image losses move the fusion alone: codes and encoder features reach it detached (released code). The discriminator
    starts from scratch.
    """

    def __init__(self, settings: FusionSettings, predictor: Predictor, tokenizer: Tokenizer) -> None:
        loss = fusion_loss(settings)
        networks = {
            "predictor": predictor,
            "fusion": Fusion(tokenizer.settings.shape),
            "discriminator": loss.new_discriminator(),
        }
        super().__init__(networks, players(settings, "predictor", "fusion"))
        self.settings, self.loss, self.tokenizer = settings, loss, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real, discriminator = 2 * batch.hr - 1, self.networks["discriminator"]
        if player == "discriminator":
            return self.loss.discriminator(real, discriminator, step)
        predictor, fusion = self.networks["predictor"], self.networks["fusion"]
        assert isinstance(predictor, Predictor) and isinstance(fusion, Fusion)
        quantizer = self.tokenizer.quantizer
        logits, features, levels = predictor.levels(2 * batch.lr - 1)
        codes = quantizer.lookup(likeliest(logits))
        fake = fusion(codes, self.tokenizer.image_path, levels, self.settings.fidelity)
        return {
            **self.loss.generator(fake, real, discriminator, fusion.last_weight, step),
            **_code_terms(self.settings, logits, features, self.tokenizer.indices(real), quantizer),
        }


def _code_terms(
    settings: PredictorSettings | FusionSettings,
    logits: Logits,
    features: Tensor,
    truth: Indices,
    quantizer: Quantizer,
) -> Terms:
    with torch.no_grad():
        vectors = quantizer.lookup(truth)
    return {
        "index": settings.index_weight * index_loss(logits, truth),
        "feature": settings.feature_weight * F.mse_loss(features.float(), vectors.float()),
    }
