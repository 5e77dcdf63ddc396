"""The paper's protocols: pyiqa, with the names and options of the authors' released test scripts.

LPIPS is `lpips_alex` and FID is `fid` of the suite's own protocols: pyiqa gives the same numbers for the first (see
`tests/test_paper_protocols.py`) and computes the second.
"""

from __future__ import annotations

from tvqsr.score.learned import PyiqaMetric
from tvqsr.score.protocol import Protocol

LUMA = (("test_y_channel", True), ("color_space", "ycbcr"))
"""pyiqa's own default, YIQ, is full-range luma: 1.32 dB lower."""
PSNR, SSIM = PyiqaMetric("psnr", LUMA), PyiqaMetric("ssim", LUMA)
PSNR_YIQ, SSIM_YIQ = (PyiqaMetric(name, (("test_y_channel", True),)) for name in ("psnr", "ssim"))
DISTS, CLIPIQA, MUSIQ, NIQE = (PyiqaMetric(name) for name in ("dists", "clipiqa", "musiq", "niqe"))
MANIQA, MANIQA_PIPAL = PyiqaMetric("maniqa"), PyiqaMetric("maniqa-pipal")

MANIQA_CROPS = (
    "weighted mean over the patches of 20 crops of 224 (the first four rows of a regular grid of 5 x 5; "
    "sides up to 224 are enlarged to 225, bilinear)"
)

PAPER = (
    Protocol(
        "psnr_y_pyiqa",
        "PSNR-Y (pyiqa)",
        True,
        "dB, pyiqa `psnr` with test_y_channel=True, color_space=ycbcr: BT.601 studio-range luma, 8-bit images, "
        "whole image, epsilon 1e-8",
        2,
        of_pair=PSNR.of_pair,
    ),
    Protocol(
        "ssim_y_pyiqa",
        "SSIM-Y (pyiqa)",
        True,
        "pyiqa `ssim` with test_y_channel=True, color_space=ycbcr: BT.601 studio-range luma rounded to 8 bits, 11x11 "
        "Gaussian of 1.5, valid positions, negative structure terms set to 0, whole image",
        4,
        smallest=11,
        of_pair=SSIM.of_pair,
    ),
    Protocol(
        "psnr_yiq",
        "PSNR-Y (YIQ)",
        True,
        "dB, pyiqa `psnr` with test_y_channel=True and its default colours, as FeMaSR and AdaCode report it: "
        "full-range luma of YIQ, 1.32 dB below that of YCbCr, 8-bit images, epsilon 1e-8",
        2,
        crops=True,
        of_pair=PSNR_YIQ.of_pair,
    ),
    Protocol(
        "ssim_yiq",
        "SSIM-Y (YIQ)",
        True,
        "pyiqa `ssim` with test_y_channel=True and its default colours, as FeMaSR and AdaCode report it: "
        "full-range luma of YIQ rounded to 8 bits, 11x11 Gaussian of 1.5, valid positions, negative structure terms "
        "set to 0",
        4,
        crops=True,
        smallest=11,
        of_pair=SSIM_YIQ.of_pair,
    ),
    Protocol(
        "dists",
        "DISTS",
        False,
        "pyiqa `dists`: VGG16 and the weights of Ding et al. 2020, RGB, not resized, whole image",
        4,
        load=DISTS.load,
        of_pair=DISTS.of_pair,
    ),
    Protocol(
        "clipiqa",
        "CLIPIQA",
        True,
        "pyiqa `clipiqa`: CLIP RN50 without positional embedding, mean probability of the good one of five pairs of "
        "prompts, RGB, not resized, whole image, no reference",
        4,
        smallest=32,
        load=CLIPIQA.load,
        of_image=CLIPIQA.of_image,
    ),
    Protocol(
        "musiq",
        "MUSIQ",
        True,
        "pyiqa `musiq` of KonIQ-10k: RGB, whole image at its own size and resized to longer sides of 384 and 224, "
        "no reference",
        3,
        load=MUSIQ.load,
        of_image=MUSIQ.of_image,
    ),
    Protocol(
        "maniqa",
        "MANIQA",
        True,
        f"pyiqa `maniqa` of KonIQ-10k: RGB, {MANIQA_CROPS}, no reference",
        4,
        load=MANIQA.load,
        of_image=MANIQA.of_image,
    ),
    Protocol(
        "maniqa_pipal",
        "MANIQA (PIPAL)",
        True,
        f"pyiqa `maniqa-pipal`: RGB, {MANIQA_CROPS}, no reference",
        4,
        load=MANIQA_PIPAL.load,
        of_image=MANIQA_PIPAL.of_image,
    ),
    Protocol(
        "niqe",
        "NIQE",
        False,
        "pyiqa `niqe`: parameters of the original release, full-range luma (pyiqa's default, YIQ) rounded to 8 bits, "
        "whole blocks of 96 x 96 from the top left, no reference",
        3,
        smallest=96,
        load=NIQE.load,
        of_image=NIQE.of_image,
    ),
)
