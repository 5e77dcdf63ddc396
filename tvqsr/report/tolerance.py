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

Nothing was trained in between, so that little is left: the digits printed (half a unit is at most a quarter of these);
8-bit outputs of other kernels, precision and tiles; and other versions of a metric. Two groups that ran FeMaSR's
weights on DRealSR's crops differ by 0.03 dB, 0.0003, LPIPS 0.0013, MUSIQ 0.04, MANIQA 0.0007 and NIQE 0.003 (Table 17
of RSD, Table 1 of TinySR), two with BSRGAN's on RealSR's by 0.01 dB, 0.0003 and LPIPS 0.0014. CLIPIQA and MUSIQ of
SinSR, which some compute in half precision, differ by 0.0055 and 0.16; older versions of MANIQA draw crops at random.
DISTS and NIQE of pyiqa lie within 1% of their authors' (its calibration). Of an index the largest of many near-equal
scores decides.
"""


def tolerance_of(claim: Claim, trained: bool) -> float:
    """The claim's own, which allows for training again, where that was done; else at most that of a re-computation."""
    told = [claim.tolerance, None if trained else RECOMPUTED.get(claim.protocol)]
    return min((value for value in told if value is not None), default=0.0)
