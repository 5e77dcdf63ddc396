"""The semantic term of the FeMaSR family: codes are to tell VGG19's features (arXiv 2202.13142, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.nn.vgg_loss import VggLoss

LAYER, CHANNELS = "conv4_4", 512


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
        self.vgg = VggLoss(f"{LAYER}:1", "set `semantic_weight` to 0")

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            return F.relu(self.vgg.layers(image.float())[LAYER])


def semantic_loss(codes: Tensor, head: nn.Module, target: Tensor) -> Tensor:
    """Mean squared error of the head's guess, a scalar."""
    return F.mse_loss(head(codes).float(), target)
