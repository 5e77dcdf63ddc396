"""LPIPS by its own package, with the features of an image computed once for all that it is compared with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tvqsr.files import sha256
from tvqsr.plan.protocols import weights_of
from tvqsr.score.learned import exact
from tvqsr.score.picture import Picture

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Lpips:
    """LPIPS v0.1 on features of `alex`, `vgg` or `squeeze`."""

    network: str

    def load(self, device: str) -> None:
        """Load its network."""
        _lpips(self.network, device)

    def of_pair(self, sr: Picture, hr: Picture, device: str) -> float:
        import torch

        with exact():
            layers = _lpips(self.network, device).lins
            pairs = zip(layers, self.features(sr, device), self.features(hr, device), strict=True)
            distances = [layer((x - y) ** 2).mean(dtype=torch.float64) for layer, x, y in pairs]
        return float(torch.stack(distances).sum())

    def features(self, picture: Picture, device: str) -> list[Tensor]:
        """Features of each layer, of length 1 at each position: (1, C, h, w) float32."""
        import torch

        def make() -> list[Tensor]:
            kept = picture.kept_once(
                self._made_from, lambda: [f.cpu().numpy() for f in self._features(picture, device)]
            )
            return [torch.from_numpy(layer).to(device) for layer in kept]

        return picture.once(("lpips", self.network, device), make)

    def _made_from(self) -> list[str]:
        """What the features depend on beside the image."""
        (weights,) = weights_of(f"lpips_{self.network}")
        return [self.network, _digest(weights.target), version("lpips"), version("torch")]

    def _features(self, picture: Picture, device: str) -> list[Tensor]:
        import lpips
        import torch

        symmetric: NDArray[np.float32] = picture.pixels.astype(np.float32) / 127.5 - 1
        samples = torch.from_numpy(symmetric).permute(2, 0, 1).unsqueeze(0).to(device)
        whole = _lpips(self.network, device)
        with exact():
            return [lpips.normalize_tensor(layer) for layer in whole.net(whole.scaling_layer(samples))]


@cache
def _digest(weights: Path) -> str:
    return sha256(weights)


@cache
def _lpips(network: str, device: str) -> Any:
    import lpips

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(pretrained|weights).*", category=UserWarning)
        return lpips.LPIPS(net=network, verbose=False).eval().to(device)
