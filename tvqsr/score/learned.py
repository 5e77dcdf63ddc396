"""Any metric by pyiqa. Heavy libraries are imported when a score is asked for.

Networks are loaded once per process and device, and run in fp32 on either; one image at a time, since some of them
keep what they are at in the module.
"""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tvqsr.data.images import Pixels
from tvqsr.score.picture import Picture

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


@dataclass(frozen=True)
class PyiqaMetric:
    """A metric by its name in pyiqa, with pyiqa's defaults but for `options`."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def load(self, device: str) -> None:
        """Load its network."""
        _pyiqa(self, device)

    def network(self, device: str) -> Any:
        """The module alone: what pyiqa wraps around it would allow TF32 again."""
        return _pyiqa(self, device)

    def of_pair(self, sr: Picture, hr: Picture, device: str) -> float:
        return self._of(device, unit(sr.pixels, device), unit(hr.pixels, device))

    def of_image(self, sr: Picture, device: str) -> float:
        """NaN where NIQE is not defined: the patches of a flat image have no shape to fit."""
        from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # documented, but not in its __all__

        try:
            return self._of(device, unit(sr.pixels, device))
        except LinAlgError:
            return math.nan

    def _of(self, device: str, *images: Tensor) -> float:
        with _turn(self, device), exact():
            return float(self.network(device)(*images))


@cache
def _turn(metric: PyiqaMetric, device: str) -> Lock:
    """Whose turn it is to use a network."""
    return Lock()


def _import_clip() -> None:
    """Import openai-clip, which several of pyiqa's metrics are built on.

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
    try:
        return _created(metric, device)
    except ImportError as error:
        if error.name != "pkg_resources":
            raise
    _import_clip()
    return _created(metric, device)


def _created(metric: PyiqaMetric, device: str) -> Any:
    import pyiqa
    import timm

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
        return pyiqa.create_metric(metric.name, device=device, **dict(metric.options)).net
