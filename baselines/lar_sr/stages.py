"""The trainings of LAR-SR: the textural VQ-VAE, and the local autoregressive module on its codes."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.nn.rrdb import RrdbNet

from .local_ar import LocalAr, LocalArSettings
from .vqvae import TexturalVqVae, VqVaeSettings


class TokenizerStage(Stage):
    """HR -> codes -> HR beside the SR0 of a frozen RRDBNet."""

    def __init__(self, settings: VqVaeSettings, generator: RrdbNet) -> None:
        super().__init__({"vqvae": TexturalVqVae(settings)}, {"generator": ("vqvae",)})
        self.settings, self.regression = settings, generator.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        vqvae = self.networks["vqvae"]
        assert isinstance(vqvae, TexturalVqVae)
        sr = self.regression(batch.lr)
        quantized = vqvae.encode(batch.hr, sr, step)
        made = vqvae.decode(quantized.codes, sr)
        return {
            "pixel": self.settings.pixel_weight * F.mse_loss(made.float(), batch.hr),
            "commit": self.settings.commit_weight * quantized.loss,
        }


class LarStage(Stage):
    """SR0 -> indices of the frozen VQ-VAE, by cross-entropy, each given the true ones before it."""

    def __init__(self, settings: LocalArSettings, generator: RrdbNet, vqvae: TexturalVqVae) -> None:
        super().__init__({"lar": LocalAr(settings, vqvae.settings.codebook_size)}, {"generator": ("lar",)})
        self.regression, self.vqvae = generator.requires_grad_(False), vqvae.requires_grad_(False)

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        with torch.no_grad():
            sr = self.regression(batch.lr)
            (indices,) = self.vqvae.indices(batch.hr, sr)
        logits = self.networks["lar"](sr, indices)
        return {"index": F.cross_entropy(logits.float(), indices)}
