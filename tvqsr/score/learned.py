"""LPIPS by its own package, and any metric by pyiqa. Heavy libraries are imported when a score is asked for.

Networks are loaded once per process and device, and run in fp32 on either.
"""

from __future__ import annotations

import importlib
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tvqsr.data.images import Pixels

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def exact() -> Iterator[None]:
    """No gradients; on a GPU full fp32 and deterministic kernels: a score must not depend on the device."""
    import torch

    steady = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.no_grad(), steady:
        yield


def unit(pixels: Pixels, device: str) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1] on a device."""
    import torch

    return torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1).unsqueeze(0).float() / 255


@cache
def _lpips(network: str, device: str) -> Any:
    import lpips

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(pretrained|weights).*", category=UserWarning)
        return lpips.LPIPS(net=network, verbose=False).eval().to(device)


def load_alex(device: str) -> None:
    """Load LPIPS with AlexNet."""
    _lpips("alex", device)


def lpips_alex(sr: Pixels, hr: Pixels, device: str) -> float:
    """LPIPS v0.1 with AlexNet."""
    import torch

    def prepared(pixels: Pixels) -> torch.Tensor:
        symmetric: NDArray[np.float32] = pixels.astype(np.float32) / 127.5 - 1
        return torch.from_numpy(symmetric).permute(2, 0, 1).unsqueeze(0).to(device)

    with exact():
        return float(_lpips("alex", device)(prepared(sr), prepared(hr)))


@dataclass(frozen=True)
class PyiqaMetric:
    """A metric by its name in pyiqa, with pyiqa's defaults but for `options`."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def load(self, device: str) -> None:
        """Load its network."""
        _pyiqa(self, device)

    def of_pair(self, sr: Pixels, hr: Pixels, device: str) -> float:
        with exact():
            return float(_pyiqa(self, device)(unit(sr, device), unit(hr, device)))

    def of_image(self, sr: Pixels, device: str) -> float:
        """NaN where NIQE is not defined: the patches of a flat image have no shape to fit."""
        from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # documented, but not in its __all__

        try:
            with exact():
                return float(_pyiqa(self, device)(unit(sr, device)))
        except LinAlgError:
            return math.nan

    def of_set(self, sr: list[Path], hr: list[Path], device: str) -> float:
        """Distance between two sets of image files."""
        with tempfile.TemporaryDirectory() as scratch, exact():
            folders = [Path(scratch) / name for name in ("sr", "hr")]
            for folder, files in zip(folders, (sr, hr), strict=True):
                folder.mkdir()
                for file in files:
                    (folder / file.name).symlink_to(file.resolve())
            network = _pyiqa(self, device)
            return float(network(str(folders[0]), str(folders[1]), device=device, verbose=False, num_workers=0))


def _import_clip() -> None:
    """Import openai-clip, which pyiqa's CLIPIQA is built on.

    Its release 1.0.1 takes `packaging` from pkg_resources, where setuptools has it no longer.
    """
    import packaging.version

    if "clip" in sys.modules:
        return
    known = sys.modules.get("pkg_resources")
    stand_in = ModuleType("pkg_resources")
    vars(stand_in)["packaging"] = packaging
    sys.modules["pkg_resources"] = stand_in
    try:
        importlib.import_module("clip")
    finally:
        del sys.modules["pkg_resources"]
        if known is not None:
            sys.modules["pkg_resources"] = known


@cache
def _pyiqa(metric: PyiqaMetric, device: str) -> Any:
    import pyiqa
    import timm

    if metric.name == "clipiqa":
        _import_clip()

    def untrained(name: str, **_: Any) -> Any:
        return build(name, pretrained=False)

    build = timm.create_model
    with ExitStack() as stack:
        # pyiqa tells its progress on stdout, which belongs to the scores.
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=".*(pretrained|weights).*", category=UserWarning)
        # MANIQA's checkpoint holds its whole ViT (it is loaded strictly), yet pyiqa would fetch another ViT first.
        stack.enter_context(patch("timm.create_model", untrained))
        # The network alone: what pyiqa wraps around it would allow TF32 again.
        return pyiqa.create_metric(metric.name, device=device, **dict(metric.options)).net
