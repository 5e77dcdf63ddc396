"""The semantic term of the FeMaSR family: codes are to tell VGG19's features (arXiv 2202.13142, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.errors import UserError
from tvqsr.nn.perceptual import MEAN, STD

CHANNELS = 512
"""Of VGG19's relu4_4."""


class SemanticHead(nn.Sequential):
    """Codes (B, D, h, w) -> a guess at VGG19's relu4_4 (B, 512, h, w). Needed in training only."""

    def __init__(self, code_channels: int) -> None:
        super().__init__(nn.Conv2d(code_channels, CHANNELS, 1), nn.ReLU())


class SemanticFeatures(nn.Module):
    """VGG19's relu4_4, pre-trained on ImageNet and frozen: image in [0, 1] (B, 3, H, W) -> (B, 512, H/8, W/8).

    Raises UserError where torchvision's weights are absent and cannot be fetched.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import VGG19_Weights, vgg19

        weights = VGG19_Weights.IMAGENET1K_V1
        try:
            layers = vgg19(weights=weights).features
        except OSError as error:
            raise UserError(
                f"weights of VGG19 for the semantic term cannot be fetched ({error}); put {weights.url} into "
                f"{torch.hub.get_dir()}/checkpoints, or set `semantic_weight: 0`"
            ) from None
        self.layers = layers[: _relu4_4(layers) + 1].requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            return self.layers((image.float() - self.get_buffer("mean")) / self.get_buffer("std"))


def _relu4_4(layers: nn.Sequential) -> int:
    """Position of the last activation before the fourth pooling."""
    pools = [position for position, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return pools[3] - 1


def semantic_loss(codes: Tensor, head: nn.Module, target: Tensor) -> Tensor:
    """Mean squared error of the head's guess, a scalar."""
    return F.mse_loss(head(codes).float(), target)
