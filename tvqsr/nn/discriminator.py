"""Discriminators."""

from __future__ import annotations

from torch import Tensor, nn

from tvqsr.errors import UserError
from tvqsr.nn.across import BatchNorm2d

SLOPE = 0.2
"""Of the leaky ReLUs."""


class PatchDiscriminator(nn.Sequential):
    """PatchGAN as in VQGAN (arXiv 2012.09841): (B, 3, H, W) -> one logit per patch (B, 1, h, w).

    TVQ&RAP: 2 layers, width 64, batch norm, LeakyReLU 0.2.
    """

    def __init__(self, width: int = 64, layers: int = 2) -> None:
        modules: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for layer in range(1, layers + 1):
            out = width * min(2**layer, 8)
            stride = 2 if layer < layers else 1
            modules += [nn.Conv2d(channels, out, 4, stride, 1, bias=False), BatchNorm2d(out), nn.LeakyReLU(0.2)]
            channels = out
        super().__init__(*modules, nn.Conv2d(channels, 1, 4, stride=1, padding=1))
        self.apply(_init_gan)


class VggDiscriminator(nn.Module):
    """The discriminator of SRGAN and ESRGAN: (B, 3, S, S) -> one logit per image (B, 1), S = 4 x 2^halvings.

    Per halving a 3x3 convolution and a 4x4 one of stride 2, with 1, 2, 4, 8, 8, ... x `width` channels; batch norm
    after all but the first; two linear layers. Published (AESOP, options/train/AESOP): width 64, 5 halvings for crops
    of 128 pixels, 6 for 256. Raises UserError for images of another size.
    """

    HIDDEN = 100
    LAST_SIDE = 4

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        self.side = self.LAST_SIDE * 2**halvings
        layers: list[nn.Module] = []
        channels = 3
        for level in range(halvings):
            out = width * min(2**level, 8)
            layers += _conv(channels, out, 3, 1, norm=level > 0) + _conv(out, out, 4, 2, norm=True)
            channels = out
        self.features = nn.Sequential(*layers)
        flat = channels * self.LAST_SIDE**2
        self.logit = nn.Sequential(nn.Linear(flat, self.HIDDEN), nn.LeakyReLU(SLOPE), nn.Linear(self.HIDDEN, 1))

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-2:] != (self.side, self.side):
            found = f"{image.shape[-1]} x {image.shape[-2]}"
            raise UserError(
                f"hr_crop: this discriminator looks at crops of {self.side} x {self.side}, found {found}; "
                f"set hr_crop to 4 x 2^discriminator_halvings"
            )
        logits: Tensor = self.logit(self.features(image).flatten(1))
        return logits


def _conv(channels: int, out: int, side: int, stride: int, norm: bool) -> list[nn.Module]:
    conv = nn.Conv2d(channels, out, side, stride, padding=1, bias=not norm)
    return [conv, *([BatchNorm2d(out)] if norm else []), nn.LeakyReLU(SLOPE)]


def _init_gan(module: nn.Module) -> None:
    """N(0, 0.02) weights, as in DCGAN and pix2pix."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
