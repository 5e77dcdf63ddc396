"""The protocols: each name stands for one exact way of scoring. Here are those by formula, and all by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tvqsr.plan.protocols import check_protocol
from tvqsr.plan.pyiqa_metrics import PREFIX
from tvqsr.score import colours as by
from tvqsr.score.any_metric import any_of_pyiqa
from tvqsr.score.colours import Colours
from tvqsr.score.fidelity import lr_psnr, psnr
from tvqsr.score.learned_protocols import LEARNED
from tvqsr.score.picture import Picture
from tvqsr.score.protocol import PairScore, Protocol
from tvqsr.score.set_protocols import OF_SETS
from tvqsr.score.similarity import MS_SSIM_LEAST, WINDOW, ms_ssim, ssim

WINDOWS = "11x11 Gaussian of 1.5, valid positions"
CUT_OFF = "negative structure terms set to 0"
AS_FEMASR = "as FeMaSR and AdaCode report it"


def _psnr(name: str, title: str, colours: Colours, told: str = "{}", crops: bool = True) -> Protocol:
    """PSNR of some colours; `told` is where they stand in the definition."""
    score = _by_formula(lambda sr, hr: psnr(sr, hr, colours))
    told = f"dB, {told.format(colours.told)}, {_border(crops)}, epsilon 1e-8"
    return Protocol(name, title, True, told, 2, colours.name, colours.rounding, crops=crops, of_pair=score)


def _ssim(
    name: str, title: str, colours: Colours, told: str = "{}", crops: bool = True, least: float | None = None
) -> Protocol:
    """SSIM of some colours, as defined or with structure terms cut off below."""
    score = _by_formula(lambda sr, hr: ssim(sr, hr, colours, least))
    cut_off = [CUT_OFF] if least is not None else []
    told = ", ".join([told.format(colours.told), WINDOWS, *cut_off, _border(crops)])
    library = ("tvqsr", "numpy", "scipy")
    about = (name, title, True, told, 4, colours.name, colours.rounding)
    return Protocol(*about, library=library, crops=crops, smallest=WINDOW, of_pair=score)


def _border(crops: bool) -> str:
    return "border cropped" if crops else "whole image"


def _by_formula(score: Callable[[Picture, Picture], float]) -> PairScore:
    """A score without a network: the device does not matter."""
    return lambda sr, hr, _device: score(sr, hr)


BY_FORMULA = (
    _psnr("psnr_y", "PSNR-Y", by.Y),
    _ssim("ssim_y", "SSIM-Y", by.Y),
    _psnr("psnr_rgb", "PSNR-RGB", by.RGB),
    _ssim("ssim_rgb", "SSIM-RGB", by.RGB, "mean over {}"),
    Protocol(
        "ms_ssim",
        "MS-SSIM",
        True,
        f"as pyiqa `ms_ssim` with its defaults: {by.YIQ_ROUNDED.told}, five scales, {WINDOWS}, {CUT_OFF}, whole image",
        4,
        by.YIQ_ROUNDED.name,
        by.YIQ_ROUNDED.rounding,
        library=("tvqsr", "numpy", "scipy"),
        smallest=MS_SSIM_LEAST,
        of_pair=_by_formula(lambda sr, hr: ms_ssim(sr, hr, by.YIQ_ROUNDED)),
    ),
    Protocol(
        "lr_psnr",
        "LR-PSNR",
        True,
        "dB, RGB, after MATLAB bicubic x1/4 of both, whole image",
        2,
        by.RGB.name,
        "8-bit images, rounded again after each pass of the shrinking",
        smallest=4,
        of_pair=_by_formula(lr_psnr),
    ),
    Protocol(
        "ae_psnr",
        "AE-PSNR",
        True,
        "dB, PSNR of both images after the auto-encoder that this preset trained for AESOP (`aesop.autoencoder`, first "
        f"seed), 8-bit images before and after, {by.Y.told}, border cropped after",
        2,
        by.Y.name,
        by.Y.rounding,
        network="aesop.autoencoder of this preset, first seed",
        library=("tvqsr", "numpy", "torch"),
        autoencoded=True,
        crops=True,
        of_pair=_by_formula(lambda sr, hr: psnr(sr, hr, by.Y)),
    ),
    _psnr(
        "psnr_y_pyiqa",
        "PSNR-Y (pyiqa)",
        by.Y,
        "as pyiqa `psnr` with test_y_channel=True, color_space=ycbcr: {}",
        crops=False,
    ),
    _ssim(
        "ssim_y_pyiqa",
        "SSIM-Y (pyiqa)",
        by.Y_ROUNDED,
        "as pyiqa `ssim` with test_y_channel=True, color_space=ycbcr: {}",
        crops=False,
        least=0.0,
    ),
    _psnr(
        "psnr_yiq",
        "PSNR-Y (YIQ)",
        by.YIQ,
        f"as pyiqa `psnr` with test_y_channel=True and its default colours, {AS_FEMASR}: {{}}, "
        "1.32 dB below PSNR of YCbCr's luma",
    ),
    _ssim(
        "ssim_yiq",
        "SSIM-Y (YIQ)",
        by.YIQ_ROUNDED,
        f"as pyiqa `ssim` with test_y_channel=True and its default colours, {AS_FEMASR}: {{}}",
        least=0.0,
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in (*BY_FORMULA, *LEARNED, *OF_SETS)}


def protocols(names: Iterable[str], where: str) -> list[Protocol]:
    """Protocols by name, in the order given. Raises UserError for an unknown one."""
    return [_protocol(name, where) for name in names]


def _protocol(name: str, where: str) -> Protocol:
    check_protocol(name, where)
    return any_of_pyiqa(name) if name.startswith(PREFIX) else PROTOCOLS[name]
