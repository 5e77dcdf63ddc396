"""Scores of five real pairs against official values and against pyiqa's: what a test asserts and a table shows."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.conftest import ROOT
from tests.scoring import official, real_pairs, score_of
from tvqsr.data.images import Pixels
from tvqsr.plan.protocols import WeightFile, absent

FOLDER = ROOT.parent / "shared" / "calibration" / "iqa"
PAIRS = 5


@dataclass(frozen=True)
class Official:
    """A row of `official_values.csv`, and how far from it a score may be."""

    metric: str
    absolute: float
    relative: float


OFFICIAL = {
    "psnr_rgb": Official("psnr", 5e-3, 0),  # printed with 2 digits
    # MATLAB rounds colours otherwise: pyiqa's own numbers, equal to these within 1e-4, are as far away.
    "ssim_yiq": Official("ssim", 5e-4, 0),
    # MATLAB's scales are filtered otherwise; likewise.
    "ms_ssim": Official("ms_ssim", 5e-3, 0),
    "lpips_alex": Official("lpips", 1e-4, 0),
    "dists": Official("dists", 0, 1e-2),
    "niqe": Official("niqe", 0, 1e-2),
    "musiq": Official("musiq", 0, 1e-2),
    "pyiqa:cw_ssim": Official("cw_ssim", 2e-3, 0),
    "pyiqa:fsim": Official("fsim", 1e-3, 0),
    "pyiqa:gmsd": Official("gmsd", 1e-4, 0),
    "pyiqa:nlpd": Official("nlpd", 6e-3, 0),
    "pyiqa:vif": Official("vif", 1e-3, 0),
    "pyiqa:vsi": Official("vsi", 1.3e-2, 0),
    "pyiqa:mad": Official("mad", 0, 1e-2),
    "pyiqa:piqe": Official("piqe", 0, 1e-2),
    "pyiqa:entropy": Official("entropy", 1e-3, 0),
}
"""By protocol."""


@dataclass(frozen=True)
class InPyiqa:
    """Pyiqa's metric and options for a protocol, and how far from it a score may be."""

    metric: str
    options: Mapping[str, Any]
    absolute: float


IN_PYIQA = {
    "psnr_y_pyiqa": InPyiqa("psnr", {"test_y_channel": True, "color_space": "ycbcr"}, 1e-4),
    "ssim_y_pyiqa": InPyiqa("ssim", {"test_y_channel": True, "color_space": "ycbcr"}, 1e-4),
    "psnr_yiq": InPyiqa("psnr", {"test_y_channel": True}, 1e-4),
    "ssim_yiq": InPyiqa("ssim", {"test_y_channel": True}, 1e-4),
    "psnr_rgb": InPyiqa("psnr", {}, 1e-4),
    "ms_ssim": InPyiqa("ms_ssim", {}, 1e-4),
    "lpips_alex": InPyiqa("lpips", {}, 1e-5),
}
"""By protocol that this suite computes itself."""


def missing(protocol: str) -> list[WeightFile]:
    """Files of weights that a protocol wants and that are not here."""
    return [] if protocol.startswith("pyiqa:") else absent(protocol)


def pyiqas(protocol: str, sr: Pixels, hr: Pixels) -> float:
    """Pyiqa's number for a pair of (H, W, 3) uint8 arrays, under a protocol of `IN_PYIQA`."""
    images = [torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255 for image in (sr, hr)]
    return float(_metric(protocol)(*images))


@dataclass(frozen=True)
class Row:
    """A protocol's number for a pair; None for what is not known or does not run here, `reason` says why."""

    pair: str
    protocol: str
    official: float | None
    ours: float | None
    pyiqa: float | None
    reason: str = ""

    @property
    def off_official(self) -> float | None:
        return None if self.official is None or self.ours is None else self.ours - self.official

    @property
    def off_pyiqa(self) -> float | None:
        return None if self.pyiqa is None or self.ours is None else self.ours - self.pyiqa


def rows(protocol: str) -> list[Row]:
    """A protocol on the five pairs, against whatever there is."""
    names = _names()
    known = OFFICIAL.get(protocol)
    values: list[float] | list[None] = official(known.metric) if known else [None] * PAIRS
    if absent_here := missing(protocol):
        reason = f"weights absent: {', '.join(Path(file.path).name for file in absent_here)}"
        return [Row(pair, protocol, value, None, None, reason) for pair, value in zip(names, values, strict=True)]
    return [
        Row(
            pair,
            protocol,
            value,
            score_of(protocol, sr, hr),
            pyiqas(protocol, sr, hr) if protocol in IN_PYIQA else None,
            _lacking(protocol),
        )
        for pair, value, (sr, hr) in zip(names, values, real_pairs()[:PAIRS], strict=True)
    ]


def _lacking(protocol: str) -> str:
    """Why an official value or pyiqa's own is lacking beside a number."""
    if protocol.startswith("pyiqa:"):
        return "pyiqa computes ours, too"
    return "" if protocol in OFFICIAL else "no official value"


def _names() -> list[str]:
    with (FOLDER / "official_values.csv").open() as file:
        return [name.partition(".")[0] for name in next(csv.reader(file))[1:]]


@cache
def _metric(protocol: str) -> Any:
    import pyiqa

    about = IN_PYIQA[protocol]
    return pyiqa.create_metric(about.metric, device="cpu", **about.options)
