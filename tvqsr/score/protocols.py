"""The protocols: each name stands for one exact way of scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tvqsr.data.images import Pixels
from tvqsr.errors import UserError
from tvqsr.plan.schema import suggestion
from tvqsr.score import fidelity, learned

PairScore = Callable[[Pixels, Pixels], float]
"""(SR, HR) -> score; the border is cut off before where the protocol says so."""
SetScore = Callable[[list[Path], list[Path]], float]
"""(SR files, HR files) -> one score of the whole set."""


@dataclass(frozen=True)
class Protocol:
    """How a score comes about. Exactly one of `of_pair` and `of_set` is given."""

    name: str
    title: str
    higher_is_better: bool
    definition: str
    decimals: int
    """How many a table shows."""
    crops: bool = False
    """Whether a border is left out; otherwise the whole image counts."""
    smallest: int = 1
    """Least side, in pixels, of an image that can be scored, after the crop."""
    load: Callable[[], object] | None = None
    """Make its network ready; raises OSError where weights are absent and cannot be fetched."""
    of_pair: PairScore | None = None
    of_set: SetScore | None = None


_ALL = (
    Protocol(
        "psnr_y",
        "PSNR-Y",
        True,
        "dB, BT.601 studio-range luma, 8-bit images, border cropped, epsilon 1e-8 (80 dB for equal images)",
        2,
        crops=True,
        of_pair=fidelity.psnr_y,
    ),
    Protocol(
        "ssim_y",
        "SSIM-Y",
        True,
        "BT.601 studio-range luma not rounded, 11x11 Gaussian of 1.5, valid positions, border cropped",
        4,
        crops=True,
        smallest=11,
        of_pair=fidelity.ssim_y,
    ),
    Protocol(
        "psnr_rgb",
        "PSNR-RGB",
        True,
        "dB, RGB, 8-bit images, border cropped, epsilon 1e-8",
        2,
        crops=True,
        of_pair=fidelity.psnr_rgb,
    ),
    Protocol(
        "ssim_rgb",
        "SSIM-RGB",
        True,
        "mean over RGB, 11x11 Gaussian of 1.5, valid positions, border cropped",
        4,
        crops=True,
        smallest=11,
        of_pair=fidelity.ssim_rgb,
    ),
    Protocol(
        "lr_psnr",
        "LR-PSNR",
        True,
        "dB, RGB, after MATLAB bicubic x1/4 of both, whole image",
        2,
        smallest=4,
        of_pair=fidelity.lr_psnr,
    ),
    Protocol(
        "lpips_alex",
        "LPIPS",
        False,
        "LPIPS v0.1, AlexNet, `lpips` package, RGB in [-1, 1], whole image",
        4,
        smallest=32,
        load=learned.load_alex,
        of_pair=learned.lpips_alex,
    ),
    Protocol(
        "fid",
        "FID",
        False,
        "pyiqa `fid` (clean resize, 2015 Inception) of whole images against HR; biased below 2048 images",
        2,
        load=learned.load_inception,
        of_set=learned.fid,
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def protocols(names: Iterable[str], where: str) -> list[Protocol]:
    """Protocols by name, in the order given. Raises UserError for an unknown one."""
    for name in names:
        if name not in PROTOCOLS:
            raise UserError(f"{where}: unknown protocol `{name}`{suggestion(name, PROTOCOLS)}")
    return [PROTOCOLS[name] for name in names]
