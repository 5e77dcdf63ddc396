"""What bf16 in inference does to a finished run's images and scores, photo by photo."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from tvqsr.contract import Upscaler
from tvqsr.data.images import Pixels, to_pixels
from tvqsr.data.manifest import read_pairs
from tvqsr.errors import UserError
from tvqsr.plan.stored import stored_plan
from tvqsr.score.colours import luma
from tvqsr.score.fidelity import psnr_of
from tvqsr.statistics import mean_intervals
from tvqsr.upscale.job import load_upscaler, to_unit
from tvqsr.upscale.padding import padded


def quality(run: Path, entry: str) -> list[dict[str, Any]]:
    """8-bit images of a finished run's entry, its first seed and test set, by fp32 and bf16 networks.

    PSNR between the two, and how PSNR-Y to HR changes: in the mean with its interval over photos (95 %), and at worst.
    """
    plan = stored_plan(run)
    testset = plan.test_sets(entry)[0]
    model, device = load_upscaler(plan, plan.entry(entry), plan.entry(entry).seeds[0])
    between, change = [], []
    for pair in read_pairs(plan.paths.dataset(testset)):
        hr = pair.hr()
        if hr is None:
            raise UserError(f"{testset}: has no HR to compare with")
        given = to_unit(hr if plan.entry(entry).reads == "hr" else pair.lr(), device)
        images = [_made(model, given, bf16) for bf16 in (False, True)]
        between.append(psnr_of(*(image.astype(np.float64) for image in images)))
        full, lower = (psnr_of(luma(image[4:-4, 4:-4]), luma(hr[4:-4, 4:-4])) for image in images)
        change.append(lower - full)
    (interval,) = mean_intervals([np.array(change)])
    between_ends = "n/a" if interval is None else "{:+.4f} to {:+.4f}".format(*interval)
    worst = max(change, key=abs)
    print(
        f"{entry} on {testset}, {len(change)} photos: {mean(between):.1f} dB between fp32 and bf16 (least "
        f"{min(between):.1f}); PSNR-Y changes by {mean(change):+.4f} dB ({between_ends}), at worst {worst:+.4f}"
    )
    told = {"between_psnr": between, "psnr_y_change": change, "mean_change": mean(change), "interval": interval}
    return [{"entry": entry, "testset": testset, **told}]


def _made(model: Upscaler, given: torch.Tensor, bf16: bool) -> Pixels:
    with torch.inference_mode(), torch.autocast(given.device.type, dtype=torch.bfloat16, enabled=bf16):
        unit = padded(model, given, model.multiple)[0].float()
    return to_pixels(unit.permute(1, 2, 0).cpu().numpy())
