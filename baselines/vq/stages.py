"""The trainings of vanilla VQ: tokenizer, predictor by cross-entropy, and the control with skip connections."""

from __future__ import annotations

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.image_loss import ImageLoss, ImageLossSettings, players
from tvqsr.nn.index_predictor import index_loss
from tvqsr.nn.quantize import straight_through_lookup
from tvqsr.nn.vq_settings import VqSettings
from tvqsr.nn.vq_tokenizer import Tokenizer

from .predictor import Predictor, PredictorSettings, Skips


class TokenizerStage(Stage):
    """VQGAN's training: image losses and the quantiser's."""

    def __init__(self, settings: VqSettings) -> None:
        loss = ImageLoss(settings)
        super().__init__(
            {"tokenizer": Tokenizer(settings), "discriminator": loss.new_discriminator()},
            players(settings, "tokenizer"),
        )
        self.settings, self.loss = settings, loss

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real = 2 * batch.hr - 1
        discriminator = self.networks["discriminator"]
        if player == "discriminator":
            return self.loss.discriminator(real, discriminator, step)
        tokenizer = self.networks["tokenizer"]
        assert isinstance(tokenizer, Tokenizer)
        quantized = tokenizer.encode(real, step)
        fake = tokenizer.image_path(quantized.codes)
        terms = self.loss.generator(fake, real, discriminator, tokenizer.image_path.last_weight, step)
        return {**terms, "vq": self.settings.vq_weight * quantized.loss}


class PredictorStage(Stage):
    """LR -> indices of the frozen tokenizer, by cross-entropy."""

    def __init__(self, settings: PredictorSettings, tokenizer: Tokenizer) -> None:
        super().__init__({"predictor": Predictor(settings, tokenizer.settings)}, {"generator": ("predictor",)})
        self.settings, self.tokenizer = settings, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        indices = self.tokenizer.indices(2 * batch.hr - 1)
        logits = self.networks["predictor"](2 * batch.lr - 1)
        return {"index": self.settings.index_weight * index_loss(logits, indices)}


class SkipStage(Stage):
    """The image losses of TVQ&RAP's stage 3, with skip connections from the LR encoder into the decoder.

    Decoder and codebook stay frozen, predictor and connections move, the discriminator starts from scratch.
    """

    def __init__(self, settings: ImageLossSettings, predictor: Predictor, tokenizer: Tokenizer) -> None:
        loss = ImageLoss(settings)
        skips = Skips(tokenizer.settings.width)
        super().__init__(
            {"predictor": predictor, "skips": skips, "discriminator": loss.new_discriminator()},
            players(settings, "predictor", "skips"),
        )
        self.loss, self.tokenizer = loss, tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        real = 2 * batch.hr - 1
        discriminator = self.networks["discriminator"]
        if player == "discriminator":
            return self.loss.discriminator(real, discriminator, step)
        predictor = self.networks["predictor"]
        assert isinstance(predictor, Predictor)
        at_lr, texture = predictor.lr_encoder.levels(2 * batch.lr - 1)
        codes = straight_through_lookup(predictor.head(texture), self.tokenizer.quantizer)
        at_quarter, at_eighth = self.networks["skips"](at_lr, texture)
        fake = self.tokenizer.image_path(codes + at_eighth, at_quarter)
        return self.loss.generator(fake, real, discriminator, predictor.head.linear.weight, step)
