"""Vanilla VQ: the whole image through one codebook, indices predicted by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Stage, Terms, Trained, Upscaler
from tvqsr.data.crops import Batch
from tvqsr.nn.autoencoder import Fusion, ImagePath, Shape, TextureEncoder
from tvqsr.nn.image_loss import ImageLoss, players
from tvqsr.nn.index_predictor import IndexHead, LrEncoder
from tvqsr.nn.initialise import start_residuals
from tvqsr.nn.quantize import Quantized
from tvqsr.nn.vq_settings import VqSettings


class Tokenizer(nn.Module):
    """HR in [-1, 1] (B, 3, H, W) -> codes at 1/8 -> HR; H and W are multiples of 8."""

    def __init__(self, settings: VqSettings) -> None:
        super().__init__()
        shape = settings.shape
        self.encoder = TextureEncoder(shape, settings.encoder_swin_depth)
        self.before = Fusion(shape, with_structure=False)
        self.quantizer = settings.new_quantizer()
        self.image_path = ImagePath(shape, settings.swin_depth)
        start_residuals(self, settings.residual_init)

    def encode(self, image: Tensor, step: int | None = None) -> Quantized:
        """Quantised features; `step` is the training step, None in inference."""
        quantized: Quantized = self.quantizer(self.before(self.encoder(image)), step)
        return quantized

    def forward(self, image: Tensor) -> Tensor:
        return self.image_path(self.encode(image).codes)


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

    def __init__(self, settings: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        super().__init__({"predictor": _new_predictor(settings, tokenizer)}, {"generator": ("predictor",)})
        self.index_weight, self.tokenizer = settings["index_weight"], tokenizer.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        indices = self.tokenizer.encode(2 * batch.hr - 1).indices
        logits = self.networks["predictor"](2 * batch.lr - 1)
        return {"index": self.index_weight * F.cross_entropy(logits, indices)}


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    if name == "tokenizer":
        return TokenizerStage(VqSettings(**settings))
    return PredictorStage(settings, _tokenizer(needs["tokenizer"]))


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    return Reconstruction(trained) if trained.stage == "tokenizer" else SuperResolution(trained)


def _tokenizer(trained: Trained) -> Tokenizer:
    tokenizer = Tokenizer(VqSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer


def _new_predictor(settings: Mapping[str, Any], tokenizer: Tokenizer) -> nn.Sequential:
    """LR in [-1, 1] (B, 3, h, w) -> logits (B, K, h/2, w/2), as wide as the tokenizer."""
    width, swin_depth = tokenizer.quantizer.embedding.embedding_dim // 4, settings["swin_depth"]
    shape = Shape(width, settings["depth"], settings["norm"], settings["heads"], settings["window"])
    codes = tokenizer.quantizer.embedding.num_embeddings
    predictor = nn.Sequential(LrEncoder(shape, swin_depth), IndexHead(shape, 4 * width, swin_depth, codes))
    start_residuals(predictor, settings["residual_init"])
    return predictor


class Reconstruction(Upscaler):
    """HR -> HR through the tokenizer: the ceiling of its predictor."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.tokenizer = _tokenizer(trained)
        self.codebook_size = trained.settings["codebook_size"]
        self.multiple = 32 * trained.settings["window"]

    def forward(self, image: Tensor) -> Tensor:
        return (self.tokenizer(2 * image - 1) + 1) / 2

    def codes(self, image: Tensor) -> Tensor:
        return self.tokenizer.encode(2 * image - 1).indices


class SuperResolution(Upscaler):
    """LR -> SR by the likeliest indices."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        tokenizer = _tokenizer(trained.needs["tokenizer"])
        self.predictor = _new_predictor(trained.settings, tokenizer)
        trained.load("predictor", self.predictor)
        self.quantizer, self.image_path = tokenizer.quantizer, tokenizer.image_path
        # Only asked for HR's own indices: kept out of the module tree, since inference does not need it.
        self._reference = [tokenizer]
        self.codebook_size = tokenizer.quantizer.embedding.num_embeddings
        self.multiple = 8 * trained.needs["tokenizer"].settings["window"]

    def forward(self, image: Tensor) -> Tensor:
        return (self.image_path(self.quantizer.lookup(self.codes(image))) + 1) / 2

    def codes(self, image: Tensor) -> Tensor:
        indices: Tensor = self.predictor(2 * image - 1).argmax(dim=1)
        return indices

    def codes_of_hr(self, hr: Tensor) -> Tensor:
        return self._reference[0].encode(2 * hr - 1).indices
