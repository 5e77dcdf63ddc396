"""Image losses of the FeMaSR family: L1, LPIPS, hinge GAN at a fixed weight (arXiv 2202.13142, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.adversarial import discriminator_hinge, generator_hinge
from tvqsr.nn.perceptual import perceptual_loss


@dataclass(frozen=True)
class FixedImageLossSettings:
    """Weights of the image-level terms; the published values are in `method.yaml`."""

    pixel_weight: float
    perceptual: str
    perceptual_weight: float
    gan_weight: float
    gan_start: int

    def players(self, *generator: str) -> dict[str, tuple[str, ...]]:
        """Generator, which moves the networks named, first; the discriminator only where the GAN term has weight."""
        moving: dict[str, tuple[str, ...]] = {"generator": generator}
        return moving | {"discriminator": ("discriminator",)} if self.gan_weight > 0 else moving


class FixedImageLoss(nn.Module):
    """Losses of a generator and of its discriminator on images in nominal [0, 1], unclamped, (B, 3, H, W).

    Keeps the last fake for the discriminator's turn.
    """

    def __init__(self, settings: FixedImageLossSettings) -> None:
        super().__init__()
        self.settings = settings
        self.perceptual = perceptual_loss(settings.perceptual, "plain")
        self._fake: Tensor | None = None

    def generator(self, fake: Tensor, real: Tensor, discriminator: nn.Module, step: int) -> dict[str, Tensor]:
        """Weighted terms of the generator."""
        weights = self.settings
        self._fake = fake.detach()
        terms = {"pixel": weights.pixel_weight * F.l1_loss(fake.float(), real.float())}
        if self.perceptual is not None:
            terms["perceptual"] = weights.perceptual_weight * self.perceptual(2 * fake - 1, 2 * real - 1)
        if weights.gan_weight > 0 and step >= weights.gan_start:
            terms["gan"] = weights.gan_weight * generator_hinge(discriminator(fake))
        return terms

    def discriminator(self, real: Tensor, discriminator: nn.Module, step: int) -> dict[str, Tensor]:
        """The sum of both hinge terms at weight 1 (released code), on the fake of the generator's turn of this step."""
        if step < self.settings.gan_start:
            return {}
        assert self._fake is not None, "the generator moves first"
        return {"hinge": 2 * discriminator_hinge(discriminator(real), discriminator(self._fake))}
