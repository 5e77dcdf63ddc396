"""Names of the protocols and the weights they need, for planning: what they compute is in `tvqsr.score.protocols`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightFile:
    """A file below torch's hub folder, and whose it is."""

    path: str
    source: str

    def present(self) -> Path | None:
        """Its full path if it is there."""
        path = hub_folder() / self.path
        return path if path.is_file() else None


def hub_folder() -> Path:
    """`torch.hub.get_dir()` by its documented rule: in $TORCH_HOME, else $XDG_CACHE_HOME/torch, else ~/.cache/torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


ALEXNET = WeightFile("checkpoints/alexnet-owt-7be5be79.pth", "torchvision's AlexNet")
VGG = WeightFile("checkpoints/vgg16-397923af.pth", "torchvision's VGG16")
SQUEEZENET = WeightFile("checkpoints/squeezenet1_1-b8a52dc0.pth", "torchvision's SqueezeNet 1.1")
INCEPTION = WeightFile("pyiqa/pt_inception-2015-12-05-6726825d.pth", "pyiqa's copy of the FID Inception network")

WEIGHTS: dict[str, WeightFile | None] = {
    "psnr_y": None,
    "ssim_y": None,
    "psnr_rgb": None,
    "ssim_rgb": None,
    "lr_psnr": None,
    "lpips_alex": ALEXNET,
    "fid": INCEPTION,
}
"""Every protocol, with the weights that it needs."""


LPIPS_NETWORKS = {"lpips_vgg": VGG, "lpips_alex": ALEXNET, "lpips_squeeze": SQUEEZENET}
"""Networks of LPIPS as a training loss, the published one first."""


def present_lpips() -> str:
    """The first LPIPS network whose weights are here; the published one, to be fetched, if none is."""
    return next((name for name, file in LPIPS_NETWORKS.items() if file.present()), "lpips_vgg")


def unavailable(protocol: str, downloads: bool) -> str | None:
    """Why a protocol cannot be computed here, or None if it can or, with `downloads`, if its weights may be fetched."""
    needs = WEIGHTS[protocol]
    if needs is None or downloads or needs.present():
        return None
    return (
        f"weights absent: {needs.source}; put the file at $TORCH_HOME/hub/{needs.path} or allow downloads "
        f"(`downloads: true` in the preset, `--download` of `tvqsr score`)"
    )
