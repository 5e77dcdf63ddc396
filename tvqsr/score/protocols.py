"""The protocols: each name stands for one exact way of scoring. Here are the suite's own and all by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tvqsr.data.images import Pixels
from tvqsr.errors import UserError
from tvqsr.plan.schema import suggestion
from tvqsr.score import fidelity, learned
from tvqsr.score.paper import PAPER
from tvqsr.score.protocol import PairScore, Protocol

FID = learned.PyiqaMetric("fid")


def _by_formula(score: Callable[[Pixels, Pixels], float]) -> PairScore:
    """A score without a network: the device does not matter."""
    return lambda sr, hr, _device: score(sr, hr)


OWN = (
    Protocol(
        "psnr_y",
        "PSNR-Y",
        True,
        "dB, BT.601 studio-range luma, 8-bit images, border cropped, epsilon 1e-8 (80 dB for equal images)",
        2,
        crops=True,
        of_pair=_by_formula(fidelity.psnr_y),
    ),
    Protocol(
        "ssim_y",
        "SSIM-Y",
        True,
        "BT.601 studio-range luma not rounded, 11x11 Gaussian of 1.5, valid positions, border cropped",
        4,
        crops=True,
        smallest=11,
        of_pair=_by_formula(fidelity.ssim_y),
    ),
    Protocol(
        "psnr_rgb",
        "PSNR-RGB",
        True,
        "dB, RGB, 8-bit images, border cropped, epsilon 1e-8",
        2,
        crops=True,
        of_pair=_by_formula(fidelity.psnr_rgb),
    ),
    Protocol(
        "ssim_rgb",
        "SSIM-RGB",
        True,
        "mean over RGB, 11x11 Gaussian of 1.5, valid positions, border cropped",
        4,
        crops=True,
        smallest=11,
        of_pair=_by_formula(fidelity.ssim_rgb),
    ),
    Protocol(
        "lr_psnr",
        "LR-PSNR",
        True,
        "dB, RGB, after MATLAB bicubic x1/4 of both, whole image",
        2,
        smallest=4,
        of_pair=_by_formula(fidelity.lr_psnr),
    ),
    Protocol(
        "ae_psnr",
        "AE-PSNR",
        True,
        "dB, PSNR-Y of both images after the auto-encoder that this preset trained for AESOP (`aesop.autoencoder`, "
        "first seed), 8-bit images before and after, border cropped after",
        2,
        autoencoded=True,
        crops=True,
        of_pair=_by_formula(fidelity.psnr_y),
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
        load=FID.load,
        of_set=FID.of_set,
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in (*OWN, *PAPER)}


def protocols(names: Iterable[str], where: str) -> list[Protocol]:
    """Protocols by name, in the order given. Raises UserError for an unknown one."""
    for name in names:
        if name not in PROTOCOLS:
            raise UserError(f"{where}: unknown protocol `{name}`{suggestion(name, PROTOCOLS)}")
    return [PROTOCOLS[name] for name in names]
