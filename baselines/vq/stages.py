"""The trainings of vanilla VQ: tokenizer, and predictor by cross-entropy."""

from __future__ import annotations

from torch.nn import functional as F

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.image_loss import ImageLoss, players
from tvqsr.nn.vq_settings import VqSettings

from .predictor import Predictor, PredictorSettings
from .tokenizer import Tokenizer


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
        return {"index": self.settings.index_weight * F.cross_entropy(logits, indices)}
