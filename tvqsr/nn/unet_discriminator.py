"""The U-Net discriminator with spectral norm of Real-ESRGAN (arXiv 2107.10833, section 3.4)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class UNetDiscriminator(nn.Module):
    """(B, 3, H, W), sides multiples of 8 -> one logit per pixel (B, 1, H, W). `width` is 64 in the papers.

    Three halvings by 4x4 convolutions and three bilinear doublings, whose outputs get the features of their size on the
    way down added. All layers but the first and the last have spectral norm and no bias.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        self.head = nn.Conv2d(3, w, 3, padding=1)
        self.down = nn.ModuleList(_halving(w * factor) for factor in (1, 2, 4))
        self.up = nn.ModuleList(_same_size(w * factor, w * factor // 2) for factor in (8, 4, 2))
        self.tail = nn.Sequential(_same_size(w, w), nn.LeakyReLU(0.2), _same_size(w, w), nn.LeakyReLU(0.2))
        self.logits = nn.Conv2d(w, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        levels = [F.leaky_relu(self.head(image), 0.2)]
        for layer in self.down:
            levels.append(F.leaky_relu(layer(levels[-1]), 0.2))
        x = levels.pop()
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), 0.2) + levels.pop()
        return self.logits(self.tail(x))


def _halving(channels: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False))


def _same_size(in_channels: int, out_channels: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False))
