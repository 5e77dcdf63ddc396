"""LPIPS as a training loss."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from tvqsr.errors import UserError
from tvqsr.loading import NOT_LOADED, why_not_loaded

PerceptualInput = Literal["imagenet", "plain"]

# ImageNet statistics in [0, 1], and LPIPS's own scaling layer, which `lpips` applies again inside.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """Mean LPIPS v0.1 of two images in nominal [-1, 1], (B, 3, H, W) -> scalar.

    By `lpips` with the network `vgg`, `alex` or `squeeze`. With the input `imagenet`, images are mapped to [0, 1] and
    then normalised by ImageNet's statistics before `lpips` scales them once more: a quirk that TVQ&RAP's released code
    inherits from CodeFormer. `plain` gives `lpips` what it expects. Raises UserError where the network's weights cannot
    be had.
    """

    def __init__(self, network: str, given: PerceptualInput) -> None:
        super().__init__()
        import lpips

        try:
            with warnings.catch_warnings():
                # lpips asks torchvision for weights in a way that is out of fashion.
                warnings.filterwarnings("ignore", message=".*(pretrained|weight enum).*", category=UserWarning)
                self.lpips = lpips.LPIPS(net=network, verbose=False)
        except NOT_LOADED as error:
            raise UserError(
                f"weights of the `{network}` network of LPIPS cannot be had ({why_not_loaded(error)}); "
                f"put torchvision's file into {torch.hub.get_dir()}/checkpoints"
            ) from None
        self.lpips.requires_grad_(False)
        self.given = given
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stays in evaluation mode: its networks hold dropout."""
        return super().train(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            distance: Tensor = self.lpips(self._prepared(image.float()), self._prepared(target.float()))
            return distance.mean()

    def _prepared(self, image: Tensor) -> Tensor:
        if self.given == "plain":
            return image
        return ((image + 1) / 2 - self.get_buffer("mean")) / self.get_buffer("std")


def perceptual_loss(kind: str, given: PerceptualInput) -> PerceptualLoss | None:
    """`none`, or `lpips_vgg`, `lpips_alex`, `lpips_squeeze`."""
    return None if kind == "none" else PerceptualLoss(kind.removeprefix("lpips_"), given)
