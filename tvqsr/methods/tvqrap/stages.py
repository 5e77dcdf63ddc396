"""The three trainings of TVQ&RAP: tokenizer, predictor by cross-entropy, reconstruction-aware fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn import functional as F

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.image_loss import ImageLoss, ImageLossSettings, players
from tvqsr.nn.index_predictor import index_loss
from tvqsr.nn.initialise import start_residuals
from tvqsr.nn.quantize import straight_through_lookup

from .predictor import Prediction, Predictor, PredictorSettings
from .tokenizer import Encoded, Tokenizer, TokenizerSettings
from .x_down import XDownDecoder, XDownEncoder, x_down


class TokenizerStage(Stage):
    """Tokenizer and X_down auto-encoder, trained jointly; F^L is drawn towards F_down, never the other way round."""

    def __init__(self, settings: TokenizerSettings) -> None:
        loss = ImageLoss(settings)
        networks: dict[str, nn.Module] = {
            "tokenizer": Tokenizer(settings),
            "x_down_encoder": XDownEncoder(settings.x_down_shape, settings.structure_channels),
            "x_down_decoder": XDownDecoder(settings.x_down_shape, settings.structure_channels),
            "discriminator": loss.new_discriminator(),
        }
        for name in ("x_down_encoder", "x_down_decoder"):
            start_residuals(networks[name], settings.residual_init)
        super().__init__(networks, players(settings, "tokenizer", "x_down_encoder", "x_down_decoder"))
        self.settings, self.loss = settings, loss

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real = 2 * batch.hr - 1
        if player == "discriminator":
            return self.loss.discriminator(real, self.networks["discriminator"], step)
        tokenizer = self.networks["tokenizer"]
        assert isinstance(tokenizer, Tokenizer)
        encoded = tokenizer.encode(real, step)
        fake = tokenizer.decode(encoded.structure, encoded.texture.codes)
        small = x_down(batch.hr)
        f_down = self.networks["x_down_encoder"](small)
        weights = self.settings
        return {
            **self.loss.generator(fake, real, self.networks["discriminator"], tokenizer.image_path.last_weight, step),
            "vq": weights.vq_weight * encoded.texture.loss,
            "x_down": weights.x_down_weight * F.mse_loss(self.networks["x_down_decoder"](f_down), small),
            "align": weights.align_weight * F.mse_loss(encoded.f_low, f_down.detach()),
        }


class PredictorStage(Stage):
    """Indices by cross-entropy and F^L by mean squared error, against what the frozen tokenizer makes of HR."""

    def __init__(self, settings: PredictorSettings, tokenizer: Tokenizer) -> None:
        predictor = Predictor(settings, tokenizer.settings)
        super().__init__({"predictor": predictor}, {"generator": ("predictor",)})
        self.settings, self.tokenizer = settings, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        target = self.tokenizer.encode(2 * batch.hr - 1)
        predicted = self.networks["predictor"](2 * batch.lr - 1, self.tokenizer.structure_path)
        return _code_terms(self.settings, predicted, target)


@dataclass(frozen=True)
class RapSettings(ImageLossSettings):
    """Settings of the stage `rap`; the paper's values are in `method.yaml`."""

    index_weight: float
    structure_weight: float


class RapStage(Stage):
    """Image losses through the straight-through lookup; alone, as published, or beside the losses of stage 2.

    Decoder and codebook stay frozen, the discriminator starts from scratch.
    """

    def __init__(self, settings: RapSettings, predictor: Predictor, tokenizer: Tokenizer) -> None:
        loss = ImageLoss(settings)
        super().__init__(
            {"predictor": predictor, "discriminator": loss.new_discriminator()}, players(settings, "predictor")
        )
        self.settings, self.loss, self.tokenizer = settings, loss, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real = 2 * batch.hr - 1
        if player == "discriminator":
            return self.loss.discriminator(real, self.networks["discriminator"], step)
        predictor = self.networks["predictor"]
        assert isinstance(predictor, Predictor)
        predicted = predictor(2 * batch.lr - 1, self.tokenizer.structure_path)
        codes = straight_through_lookup(predicted.logits, self.tokenizer.quantizer)
        fake = self.tokenizer.decode(predicted.structure, codes)
        terms = self.loss.generator(fake, real, self.networks["discriminator"], predictor.head.linear.weight, step)
        if self.settings.index_weight > 0 or self.settings.structure_weight > 0:
            terms |= _code_terms(self.settings, predicted, self.tokenizer.encode(real))
        return terms


def _code_terms(settings: PredictorSettings | RapSettings, predicted: Prediction, target: Encoded) -> Terms:
    """Cross-entropy of the indices and mean squared error of F^L, weighted."""
    return {
        "index": settings.index_weight * index_loss(predicted.logits, target.texture.indices),
        "structure": settings.structure_weight * F.mse_loss(predicted.f_low, target.f_low),
    }
