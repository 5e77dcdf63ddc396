"""Index prediction as CodeFormer does it: the tokenizer's own encoder, grown used to LR, and a transformer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.errors import UserError
from tvqsr.nn.autoencoder import Fusion, TextureEncoder
from tvqsr.nn.index_predictor import Logits, split_logits
from tvqsr.nn.vq_settings import VqSettings
from tvqsr.nn.vq_tokenizer import Tokenizer

from .fusion import encoder_levels
from .transformer import WindowedTransformer


@dataclass(frozen=True)
class PredictorSettings:
    """Settings of the stage `predictor`; the published values are in `method.yaml`."""

    dim: int
    heads: int
    layers: int
    window: int
    index_weight: float
    feature_weight: float


class Predictor(nn.Module):
    """LR in [-1, 1] (B, 3, h, w), sides multiples of 2 -> code logits and features at h/2 x w/2.

    Its encoder is shaped like the tokenizer's; `start_from` takes over the latter's weights.
    """

    def __init__(self, settings: PredictorSettings, tokenizer: VqSettings) -> None:
        super().__init__()
        if settings.dim % settings.heads:
            raise UserError(f"heads: {settings.heads} do not divide dim {settings.dim}; take another number")
        self.settings, self.codebooks = settings, tokenizer.codebooks
        self.encoder = TextureEncoder(tokenizer.shape, tokenizer.encoder_swin_depth)
        self.before = Fusion(tokenizer.shape, with_structure=False)
        self.transformer = WindowedTransformer(
            4 * tokenizer.width, settings.dim, settings.heads, settings.layers, settings.window
        )
        self.norm = nn.LayerNorm(settings.dim)
        self.linear = nn.Linear(settings.dim, sum(codebook.size for codebook in self.codebooks), bias=False)

    def start_from(self, tokenizer: Tokenizer) -> None:
        """Take over a trained tokenizer's encoder, up to what it quantises."""
        self.encoder.load_state_dict(tokenizer.encoder.state_dict())
        self.before.load_state_dict(tokenizer.before.state_dict())

    def forward(self, lr: Tensor) -> tuple[Logits, Tensor]:
        """Logits of each codebook, see `split_logits`, and features that are to be code vectors (B, D, h/2, w/2)."""
        features = self.before(self.encoder(enlarged(lr)))
        return self.logits(features), features

    def levels(self, lr: Tensor) -> tuple[Logits, Tensor, dict[str, Tensor]]:
        """As `forward`, and the encoder's features that a decoder may be given."""
        encoded, levels = encoder_levels(self.encoder, enlarged(lr))
        features = self.before(encoded)
        return self.logits(features), features, levels

    def logits(self, features: Tensor) -> Logits:
        tokens = self.norm(self.transformer(features).permute(0, 2, 3, 1))
        return split_logits(self.linear(tokens).permute(0, 3, 1, 2), self.codebooks)


def enlarged(lr: Tensor) -> Tensor:
    """LR brought to HR's size, bicubic with Keys' kernel, a = -0.5: (B, 3, h, w) -> (B, 3, 4h, 4w)."""
    # Enlarging, antialiasing changes nothing but the kernel: without it, torch takes a = -0.75.
    return F.interpolate(lr, scale_factor=4, mode="bicubic", antialias=True)
