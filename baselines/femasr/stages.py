"""The trainings of FeMaSR: the prior from HR, and the LR encoder that finds its way to it."""

from __future__ import annotations

from torch import nn

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.feature_matching import feature_matching
from tvqsr.nn.fixed_image_loss import FixedImageLoss
from tvqsr.nn.quantize import Quantized
from tvqsr.nn.semantic import SemanticFeatures, SemanticHead, semantic_loss
from tvqsr.nn.unet_discriminator import UNetDiscriminator

from .network import HqSettings, LqNetwork, LqSettings, Tokenizer


class HqStage(Stage):
    """HR -> HR: image losses, the quantiser's, and the semantic term."""

    def __init__(self, settings: HqSettings) -> None:
        discriminator = UNetDiscriminator(settings.discriminator_width)
        networks: dict[str, nn.Module] = {"tokenizer": Tokenizer(settings), "discriminator": discriminator}
        moving = ["tokenizer"]
        if settings.semantic_weight > 0:
            networks["semantic"] = SemanticHead(settings.code_channels)
            moving.append("semantic")
        super().__init__(networks, settings.players(*moving))
        self.settings, self.loss = settings, FixedImageLoss(settings)
        self.features = SemanticFeatures() if settings.semantic_weight > 0 else None

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        discriminator = self.networks["discriminator"]
        if player == "discriminator":
            return self.loss.discriminator(batch.hr, discriminator, step)
        tokenizer = self.networks["tokenizer"]
        assert isinstance(tokenizer, Tokenizer)
        quantized = tokenizer.encode(batch.hr, step)
        fake = tokenizer.prior(quantized.codes)
        terms = self.loss.generator(fake, batch.hr, discriminator, step)
        terms["vq"] = self.settings.vq_weight * quantized.loss
        if self.features is not None:
            told = semantic_loss(quantized.codes, self.networks["semantic"], self.features(batch.hr))
            terms["semantic"] = self.settings.semantic_weight * told
        return terms


class LqStage(Stage):
    """LR -> SR through the frozen codebook and decoder, towards the codes that HR has.

    Starts from the HQ stage's discriminator and from its layer before the codebook.
    """

    def __init__(self, settings: LqSettings, tokenizer: Tokenizer, discriminator: UNetDiscriminator) -> None:
        network = LqNetwork(settings, tokenizer.settings)
        network.before.load_state_dict(tokenizer.before.state_dict())
        super().__init__({"lq": network, "discriminator": discriminator}, settings.players("lq"))
        self.settings, self.loss = settings, FixedImageLoss(settings)
        self.tokenizer = tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        discriminator = self.networks["discriminator"]
        if player == "discriminator":
            return self.loss.discriminator(batch.hr, discriminator, step)
        prior = self.tokenizer.prior
        features, shortcuts = self.networks["lq"](batch.lr)
        quantized: Quantized = prior.quantizer(features)
        terms = self.loss.generator(prior(quantized.codes, shortcuts), batch.hr, discriminator, step)
        wanted = prior.quantizer.lookup(self.tokenizer.indices(batch.hr))
        return {**terms, "feature": self.settings.feature_weight * feature_matching(features, wanted)}
