"""The GAN training of ESRGAN and its descendants: one generator, one discriminator, and a fidelity term to compare.

ESRGAN (arXiv 1809.00219), LDL (arXiv 2203.09195) and AESOP (arXiv 2412.00124) are this stage with other weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.adversarial import relativistic_discriminator, relativistic_generator
from tvqsr.nn.artifacts import artifact_loss
from tvqsr.nn.discriminator import VggDiscriminator
from tvqsr.nn.perceptual import perceptual_loss
from tvqsr.nn.rrdb import RrdbNet
from tvqsr.nn.vgg_loss import VggLoss


@dataclass(frozen=True)
class GanSettings:
    """Weights of the terms; a method's `method.yaml` has those that it publishes, the others stay zero."""

    perceptual: str
    perceptual_layers: str
    perceptual_weight: float
    gan_weight: float
    discriminator_width: int
    discriminator_halvings: int
    pixel_weight: float = 0.0
    artifact_weight: float = 0.0
    autoencoder_weight: float = 0.0


class GanStage(Stage):
    """LR -> SR by a fidelity term, a perceptual one and a relativistic average GAN.

    `generator` starts from its PSNR-oriented training. `autoencoder` (HR -> HR, frozen) measures AESOP's term: the
    mean absolute difference of the auto-encoded images. Images are (B, 3, H, W) in nominal [0, 1].
    """

    def __init__(self, settings: GanSettings, generator: RrdbNet, autoencoder: nn.Module | None = None) -> None:
        discriminator = VggDiscriminator(settings.discriminator_width, settings.discriminator_halvings)
        players: dict[str, tuple[str, ...]] = {"generator": ("generator",)}
        if settings.gan_weight > 0:
            players["discriminator"] = ("discriminator",)
        super().__init__({"generator": generator, "discriminator": discriminator}, players)
        self.settings = settings
        self.autoencoder = autoencoder.requires_grad_(False) if autoencoder is not None else None
        self.perceptual = _perceptual(settings)
        self._fake: Tensor | None = None

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        discriminator = self.networks["discriminator"]
        if player == "discriminator":
            assert self._fake is not None, "the generator moves first"
            logits = discriminator(batch.hr), discriminator(self._fake)
            return {"gan": relativistic_discriminator(*logits)}
        sr = self.networks["generator"](batch.lr).float()
        self._fake = sr.detach()
        terms = self._fidelity(sr, batch)
        if self.perceptual is not None:
            terms["perceptual"] = self.settings.perceptual_weight * self.perceptual(sr, batch.hr)
        if self.settings.gan_weight > 0:
            with torch.no_grad():
                real = discriminator(batch.hr)
            terms["gan"] = self.settings.gan_weight * relativistic_generator(real, discriminator(sr))
        return terms

    def _fidelity(self, sr: Tensor, batch: Batch) -> Terms:
        """The terms in which the family differs; those without weight are not computed."""
        weights = self.settings
        terms: Terms = {}
        if weights.pixel_weight > 0:
            terms["pixel"] = weights.pixel_weight * F.l1_loss(sr, batch.hr)
        if weights.artifact_weight > 0:
            terms["artifacts"] = weights.artifact_weight * artifact_loss(sr, self._by_average(batch.lr), batch.hr)
        if weights.autoencoder_weight > 0:
            assert self.autoencoder is not None, "this term needs an auto-encoder"
            terms["autoencoder"] = weights.autoencoder_weight * autoencoded_distance(self.autoencoder, sr, batch.hr)
        return terms

    def _by_average(self, lr: Tensor) -> Tensor:
        """SR by the running average; before a training has begun, by the generator, which it starts from."""
        networks = self.averaged[0] if self.averaged else self.networks
        with torch.no_grad():
            sr: Tensor = networks["generator"](lr)
        return sr.float()


def autoencoded_distance(autoencoder: nn.Module, sr: Tensor, hr: Tensor) -> Tensor:
    """AESOP's loss (arXiv 2412.00124, section 4; authors' code, losses/aesop_loss.py): mean |AE(SR) - AE(HR)|.

    The gradient flows through the auto-encoder into `sr`. In fp32: half precision is coarser than what it measures.
    """
    with torch.autocast(sr.device.type, enabled=False):
        with torch.no_grad():
            wanted = autoencoder(hr)
        return F.l1_loss(autoencoder(sr), wanted)


class _Lpips(nn.Module):
    """LPIPS of images in [0, 1]."""

    def __init__(self, lpips: nn.Module) -> None:
        super().__init__()
        self.lpips = lpips

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        distance: Tensor = self.lpips(2 * image - 1, 2 * target - 1)
        return distance


def _perceptual(settings: GanSettings) -> nn.Module | None:
    """`none`, `vgg19` (published), or LPIPS with the network whose weights are here."""
    if settings.perceptual == "vgg19":
        return VggLoss(settings.perceptual_layers)
    lpips = perceptual_loss(settings.perceptual, "plain")
    return None if lpips is None else _Lpips(lpips)
