"""Metrics that need a network's weights. Heavy libraries are imported when a score is asked for."""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.images import Pixels


@cache
def _lpips(network: str) -> Any:
    import lpips

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(pretrained|weights).*", category=UserWarning)
        return lpips.LPIPS(net=network, verbose=False).eval()


def load_alex() -> None:
    """Load LPIPS with AlexNet; fetches its weights if they are absent."""
    _lpips("alex")


def lpips_alex(sr: Pixels, hr: Pixels) -> float:
    """LPIPS v0.1 with AlexNet."""
    import torch

    def prepared(pixels: Pixels) -> torch.Tensor:
        unit: NDArray[np.float32] = pixels.astype(np.float32) / 127.5 - 1
        return torch.from_numpy(unit).permute(2, 0, 1).unsqueeze(0)

    with torch.inference_mode():
        return float(_lpips("alex")(prepared(sr), prepared(hr)))


@cache
def _fid() -> Any:
    import pyiqa

    return pyiqa.create_metric("fid")


def load_inception() -> None:
    """Load the Inception network of FID; fetches its weights if they are absent."""
    _fid()


def fid(sr: list[Path], hr: list[Path]) -> float:
    """Frechet Inception distance between two sets of image files, by pyiqa."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("sr", "hr")]
        for folder, files in zip(folders, (sr, hr), strict=True):
            folder.mkdir()
            for file in files:
                (folder / file.name).symlink_to(file.resolve())
        return float(_fid()(str(folders[0]), str(folders[1]), verbose=False, num_workers=0))
