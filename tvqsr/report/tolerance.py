"""How far a measured number may lie from the published one and still be it."""

from __future__ import annotations

from tvqsr.report.claim import Claim

RECOMPUTED = (
    dict.fromkeys(("psnr_y", "psnr_y_pyiqa", "psnr_yiq", "psnr_rgb"), 0.05)
    | dict.fromkeys(("ssim_y", "ssim_y_pyiqa", "ssim_yiq", "ssim_rgb"), 0.002)
    | dict.fromkeys(("lpips_alex", "lpips_vgg", "lpips_squeeze", "dists", "index_accuracy"), 0.002)
    | {"clipiqa": 0.006, "maniqa": 0.005, "maniqa_pipal": 0.005}
    | {"musiq": 0.2, "niqe": 0.05}
)
"""Protocol -> how far a number of the same weights, or of the same outputs, may lie from the published one.

Nothing was trained in between, so that little is left: the digits printed (half a unit, where that is more);
8-bit outputs of other kernels, precision and tiles; and other versions of a metric. Two groups that ran FeMaSR's
weights on DRealSR's crops differ by 0.03 dB, 0.0003, LPIPS 0.0013, MUSIQ 0.04, MANIQA 0.0007 and NIQE 0.003 (Table 17
of RSD, Table 1 of TinySR), two with BSRGAN's on RealSR's by 0.01 dB, 0.0003 and LPIPS 0.0014. CLIPIQA and MUSIQ of
SinSR, which some compute in half precision, differ by 0.0055 and 0.16; older versions of MANIQA draw crops at random.
DISTS and NIQE of pyiqa lie within 1% of their authors' (its calibration). Of an index the largest of many near-equal
scores decides.
"""


def tolerance_of(claim: Claim, trained: bool) -> float | None:
    """The claim's own, which allows for training again, where that was done; else at most that of a re-computation.

    Never less than half a unit of the digits printed: no number can be told nearer than that. None if none is stated.
    """
    told = [claim.tolerance, None if trained else RECOMPUTED.get(claim.protocol)]
    stated = [value for value in told if value is not None]
    return max(min(stated), half_a_unit(claim)) if stated else None


def half_a_unit(claim: Claim) -> float:
    """Of the last digit that the finest of a claim's numbers has: a column is printed alike; 0 of a claim without.

    Read as a number, 26.50 has lost its zero, but hardly all of a column do.
    """
    digits = [len(f"{value:.10g}".partition(".")[2]) for value in claim.reported.values() if value is not None]
    # Of a number alone nothing tells how many of its zeros were printed.
    return 0.5 * 10.0 ** -max(digits) if len(digits) > 1 else 0.0
