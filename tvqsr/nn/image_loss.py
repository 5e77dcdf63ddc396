"""VQGAN's image-level loss (arXiv 2012.09841) with TVQ&RAP's weights: MSE + LPIPS + adaptive hinge GAN.

Stage 1 and stage 3 share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.adversarial import adaptive_weight, discriminator_hinge, generator_hinge
from tvqsr.nn.discriminator import PatchDiscriminator
from tvqsr.nn.kept_gradient import with_kept_gradient
from tvqsr.nn.perceptual import PerceptualInput, perceptual_loss


@dataclass(frozen=True)
class ImageLossSettings:
    """Weights of the image-level terms; the paper's values are in `method.yaml`."""

    pixel_weight: float
    perceptual: str
    perceptual_input: PerceptualInput
    perceptual_weight: float
    gan_weight: float
    gan_start: int
    discriminator_width: int
    discriminator_layers: int


class ImageLoss(nn.Module):
    """Losses of a generator and of its discriminator on images in nominal [-1, 1], (B, 3, H, W).

    Keeps the last fake for the discriminator's turn. `pixel` is the distance of images. `most` bounds the adaptive
    weight. `hinge_weight` is the discriminator's own, `gan_weight` where it is None (TVQ&RAP's released code).
    """

    def __init__(
        self,
        settings: ImageLossSettings,
        pixel: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
        most: float | None = None,
        hinge_weight: float | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.pixel, self.most = settings, pixel, most
        self.hinge_weight = settings.gan_weight if hinge_weight is None else hinge_weight
        self.perceptual = perceptual_loss(settings.perceptual, settings.perceptual_input)
        self._fake: Tensor | None = None

    def new_discriminator(self) -> PatchDiscriminator:
        return PatchDiscriminator(self.settings.discriminator_width, self.settings.discriminator_layers)

    def generator(
        self, fake: Tensor, real: Tensor, discriminator: nn.Module, measured_at: Tensor, step: int
    ) -> dict[str, Tensor]:
        """Weighted terms of the generator; the GAN term's adaptive weight is measured at parameter `measured_at`."""
        weights = self.settings
        self._fake = fake.detach()
        terms = {"pixel": weights.pixel_weight * self.pixel(fake, real)}
        if self.perceptual is not None:
            # The adaptive weight asks for this gradient, too, and its network is the dearest of the losses.
            distance = with_kept_gradient(partial(self.perceptual, target=real), fake)
            terms["perceptual"] = weights.perceptual_weight * distance
        if weights.gan_weight > 0 and step >= weights.gan_start:
            adversarial = generator_hinge(discriminator(fake))
            balance = adaptive_weight(torch.stack(list(terms.values())).sum(), adversarial, measured_at)
            balance = balance if self.most is None else balance.clamp(max=self.most)
            terms["gan"] = weights.gan_weight * balance * adversarial
        return terms

    def discriminator(self, real: Tensor, discriminator: nn.Module, step: int) -> dict[str, Tensor]:
        """The discriminator's hinge loss, weighted, on the fake of the generator's turn in the same step."""
        if step < self.settings.gan_start:
            return {}
        assert self._fake is not None, "the generator moves first"
        return {"hinge": self.hinge_weight * discriminator_hinge(discriminator(real), discriminator(self._fake))}


def players(settings: ImageLossSettings, *generator: str) -> dict[str, tuple[str, ...]]:
    """Generator, which moves the networks named, first; the discriminator plays only where the GAN term has weight."""
    moving: dict[str, tuple[str, ...]] = {"generator": generator}
    return moving | {"discriminator": ("discriminator",)} if settings.gan_weight > 0 else moving
