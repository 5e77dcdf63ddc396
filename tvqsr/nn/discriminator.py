"""Discriminators."""

from __future__ import annotations

from torch import nn


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
            modules += [nn.Conv2d(channels, out, 4, stride, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
            channels = out
        super().__init__(*modules, nn.Conv2d(channels, 1, 4, stride=1, padding=1))
        self.apply(_init_gan)


def _init_gan(module: nn.Module) -> None:
    """N(0, 0.02) weights, as in DCGAN and pix2pix."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
