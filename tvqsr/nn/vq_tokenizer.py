"""The tokenizer of vanilla VQ: TVQ&RAP's without structure. Methods that need `vq.tokenizer` build it, too."""

from __future__ import annotations

from torch import Tensor

from tvqsr.contract import Indices, Trained
from tvqsr.nn.autoencoder import Fusion, ImagePath, TextureEncoder
from tvqsr.nn.initialise import start_residuals
from tvqsr.nn.quantize import Quantized
from tvqsr.nn.vq_inference import VqTokenizer
from tvqsr.nn.vq_settings import VqSettings


class Tokenizer(VqTokenizer):
    """HR in [-1, 1] (B, 3, H, W) -> codes at 1/8 -> HR; H and W are multiples of 8."""

    def __init__(self, settings: VqSettings) -> None:
        super().__init__()
        self.settings = settings
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

    def indices(self, image: Tensor) -> Indices:
        return self.encode(image).indices

    def forward(self, image: Tensor) -> Tensor:
        return self.image_path(self.encode(image).codes)


def tokenizer_of(trained: Trained) -> Tokenizer:
    """The tokenizer of a finished run of `vq.tokenizer`."""
    tokenizer = Tokenizer(VqSettings(**trained.settings))
    trained.load("tokenizer", tokenizer)
    return tokenizer
