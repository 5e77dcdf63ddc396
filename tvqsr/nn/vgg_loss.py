"""Distance of VGG19's features before their activation, ESRGAN's perceptual loss (arXiv 1809.00219, section 3.3)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.errors import UserError
from tvqsr.loading import NOT_LOADED, why_not_loaded
from tvqsr.nn.perceptual import MEAN, STD

CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Per resolution, in VGG19 (arXiv 1409.1556, table 1, column E)."""
NAMES = tuple(f"conv{level}_{i}" for level, count in enumerate(CONVOLUTIONS, 1) for i in range(1, count + 1))
FILE = "vgg19-dcbb9e9d.pth"
"""Torchvision's weights."""


def layer_weights(text: str) -> dict[str, float]:
    """`"conv1_2:0.1 conv5_4:1"` -> weight of each layer. Raises UserError for what is no layer or no weight."""
    weights: dict[str, float] = {}
    for part in text.split():
        name, _, value = part.partition(":")
        if name not in NAMES:
            raise UserError(f"perceptual_layers: `{part}`: expected convM_N:WEIGHT with a layer conv1_1 ... conv5_4")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UserError(f"perceptual_layers: `{part}`: expected a number after the colon") from None
    if not weights:
        raise UserError("perceptual_layers: expected at least one layer, such as conv5_4:1")
    return weights


class VggLoss(nn.Module):
    """Weighted sum over layers of the mean absolute difference of features before the ReLU, a scalar.

    Of two images (B, 3, H, W) in nominal [0, 1], normalised by ImageNet's statistics; sides of 16 or more. Always in
    fp32. Raises UserError where torchvision's weights are neither here nor to be fetched; `otherwise` says what to do.
    """

    def __init__(self, layers: str, otherwise: str = "set `perceptual` to `none` or to an LPIPS network") -> None:
        super().__init__()
        self.weights = layer_weights(layers)
        self.features = _convolutions_of(_vgg19(otherwise), max(NAMES.index(name) for name in self.weights))
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            found = self.layers(image.float())
            with torch.no_grad():
                wanted = self.layers(target.float())
            distances = [weight * F.l1_loss(found[name], wanted[name]) for name, weight in self.weights.items()]
        return torch.stack(distances).sum()

    def layers(self, image: Tensor) -> dict[str, Tensor]:
        """Features before their activation, of each layer that has a weight."""
        x = (image - self.get_buffer("mean")) / self.get_buffer("std")
        seen: dict[str, Tensor] = {}
        for position, (name, conv) in enumerate(zip(NAMES, self.features, strict=False)):
            if position:
                x = F.relu(x)
                if name.endswith("_1"):
                    x = F.max_pool2d(x, 2)
            x = conv(x)
            if name in self.weights:
                seen[name] = x
        return seen


def _convolutions_of(network: nn.Module, last: int) -> nn.ModuleList:
    convolutions = (part for part in network.modules() if isinstance(part, nn.Conv2d))
    return nn.ModuleList(itertools.islice(convolutions, last + 1))


def _vgg19(otherwise: str) -> nn.Module:
    from torchvision.models import VGG19_Weights, vgg19

    try:
        network: nn.Module = vgg19(weights=VGG19_Weights.IMAGENET1K_V1, progress=False)
    except NOT_LOADED as error:
        why = why_not_loaded(error)
        raise UserError(
            f"{torch.hub.get_dir()}/checkpoints/{FILE}: torchvision's VGG19 cannot be had ({why}); put the file there, "
            f"or {otherwise}"
        ) from None
    return network
