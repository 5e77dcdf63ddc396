"""Where the weights of learned metrics lie, decided without importing torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightFile:
    """A file below torch's hub folder, and where the library that uses it fetches it from."""

    path: str
    source: str

    def present(self) -> Path | None:
        """Its full path if it is there."""
        path = hub_folder() / self.path
        return path if path.is_file() else None


def hub_folder() -> Path:
    """`torch.hub.get_dir()` by its documented rule.

    $TORCH_HOME, else $XDG_CACHE_HOME/torch, else ~/.cache/torch; then `hub`.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


ALEXNET = WeightFile("checkpoints/alexnet-owt-7be5be79.pth", "torchvision's AlexNet")
INCEPTION = WeightFile("pyiqa/pt_inception-2015-12-05-6726825d.pth", "pyiqa's copy of the FID Inception network")
