"""The trainings of AdaCode: bases and their mix from HR, and the LR encoder that finds its way to them."""

from __future__ import annotations

import torch
from torch import nn

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.feature_matching import feature_matching
from tvqsr.nn.fixed_image_loss import FixedImageLoss
from tvqsr.nn.semantic import SemanticFeatures, SemanticHead, semantic_loss
from tvqsr.nn.unet_discriminator import UNetDiscriminator

from .contrast import contrastive_loss
from .network import BasesSettings, LqNetwork, SrSettings, Tokenizer


class BasesStage(Stage):
    """HR -> HR: image losses, and for each basis the quantiser's and the semantic term, summed over bases."""

    def __init__(self, settings: BasesSettings) -> None:
        discriminator = UNetDiscriminator(settings.discriminator_width)
        networks: dict[str, nn.Module] = {"tokenizer": Tokenizer(settings), "discriminator": discriminator}
        moving = ["tokenizer"]
        if settings.semantic_weight > 0:
            networks["semantic"] = nn.ModuleList(SemanticHead(settings.code_channels) for _ in settings.sizes)
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
        _, mixed = tokenizer.encode(batch.hr, step)
        fake = tokenizer.bases.decoder(mixed.fused)
        terms = self.loss.generator(fake, batch.hr, discriminator, step)
        terms["vq"] = self.settings.vq_weight * torch.stack([part.loss for part in mixed.quantized]).sum()
        if self.features is not None:
            heads, wanted = self.networks["semantic"], self.features(batch.hr)
            assert isinstance(heads, nn.ModuleList)
            told = [semantic_loss(part.codes, head, wanted) for part, head in zip(mixed.quantized, heads, strict=True)]
            terms["semantic"] = self.settings.semantic_weight * torch.stack(told).sum()
        return terms


class SrStage(Stage):
    """LR -> SR through the frozen bases and decoder.

    Towards the codes that HR has in each basis, the features that they are mixed to, and the encoder's own features.
    Starts from the first stage's projections, mix predictor and discriminator.
    """

    def __init__(self, settings: SrSettings, tokenizer: Tokenizer, discriminator: UNetDiscriminator) -> None:
        network = LqNetwork(tokenizer.settings)
        network.before.load_state_dict(tokenizer.before.state_dict())
        network.mix.load_state_dict(tokenizer.mix.state_dict())
        super().__init__({"lq": network, "discriminator": discriminator}, settings.players("lq"))
        self.settings, self.loss = settings, FixedImageLoss(settings)
        self.tokenizer = tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        discriminator, weights = self.networks["discriminator"], self.settings
        if player == "discriminator":
            return self.loss.discriminator(batch.hr, discriminator, step)
        bases = self.tokenizer.bases
        features, mixed = self.networks["lq"](batch.lr, bases)
        with torch.no_grad():
            wanted_features, wanted = self.tokenizer.encode(batch.hr)
        fake = bases.decoder(mixed.fused, features)
        terms = self.loss.generator(fake, batch.hr, discriminator, step)
        codes = bases.lookup(tuple(part.indices[0] for part in wanted.quantized))
        matched = [feature_matching(*pair) for pair in zip(mixed.to_quantize, codes, strict=True)]
        terms["vq"] = weights.vq_weight * torch.stack(matched).sum()
        terms["fused"] = weights.fused_weight * feature_matching(mixed.fused, wanted.fused)
        terms["contrast"] = weights.contrast_weight * contrastive_loss(features.at_eighth, wanted_features)
        return terms
