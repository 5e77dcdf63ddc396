"""AESOP's auto-encoder (arXiv 2412.00124, section 4; authors' code, archs/autoencoder_arch.py), and its training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.rrdb import Rrdb, RrdbNet, start_small


@dataclass(frozen=True)
class AutoEncoderSettings:
    """Settings of the stage `autoencoder`; the decoder's shape is `rrdb.psnr`'s."""

    encoder_channels: int
    encoder_blocks: int
    encoder_growth: int
    pixel_weight: float
    lr_weight: float


class AutoEncoder(nn.Module):
    """HR (B, 3, H, W) in [0, 1], sides multiples of 4 -> the same, not clamped, by way of an RGB image at 1/4.

    What survives is what a PSNR-oriented network can restore; 18.18 M parameters as published.
    """

    def __init__(self, settings: AutoEncoderSettings, decoder: RrdbNet) -> None:
        super().__init__()
        channels = settings.encoder_channels
        wide = 16 * channels
        head = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1))
        down = nn.Sequential(nn.PixelUnshuffle(2), nn.PixelUnshuffle(2))
        body = nn.Sequential(*(Rrdb(wide, settings.encoder_growth) for _ in range(settings.encoder_blocks)))
        tail = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1), nn.Conv2d(wide, 3, 3, padding=1))
        for part in (*head, *tail):
            start_small(part)
        self.encoder = nn.Sequential(head, down, body, tail)
        self.decoder = decoder

    def forward(self, hr: Tensor) -> Tensor:
        restored: Tensor = self.decoder(self.encoder(hr))
        return restored


class AutoEncoderStage(Stage):
    """HR -> HR by mean absolute error, the bottleneck drawn to bicubic LR; the decoder moves, too."""

    def __init__(self, settings: AutoEncoderSettings, decoder: RrdbNet) -> None:
        super().__init__({"autoencoder": AutoEncoder(settings, decoder)}, {"generator": ("autoencoder",)})
        self.settings = settings

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        autoencoder = self.networks["autoencoder"]
        assert isinstance(autoencoder, AutoEncoder)
        bottleneck = autoencoder.encoder(batch.hr)
        restored = autoencoder.decoder(bottleneck)
        return {
            "pixel": self.settings.pixel_weight * F.l1_loss(restored.float(), batch.hr),
            "lr": self.settings.lr_weight * F.l1_loss(bottleneck.float(), batch.lr),
        }
