"""Time of each degradation per HR crop, on one CPU thread or a GPU: `python -m tests.benchmarks.degrade`."""

from __future__ import annotations

import argparse
import time
from statistics import median

import skimage
import torch

from tvqsr.data.degrade import RECIPES, degrade

BATCH = 8


def main() -> None:
    """Print a line per side of the crop: milliseconds per crop, the median over batches of their own seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1).unsqueeze(0).to(options.device) / 255
    print("side", *RECIPES, "(ms per crop)")
    for side in (64, 128, 256, 512):
        crops = photo[..., :side, :side].repeat(BATCH, 1, 1, 1)
        print(side, *(f"{_milliseconds(crops, name, options.batches):.1f}" for name in RECIPES), flush=True)


def _milliseconds(crops: torch.Tensor, name: str, batches: int) -> float:
    times = []
    for step in range(batches + 1):
        start = time.perf_counter()
        degrade(crops, RECIPES[name], [[step, position] for position in range(len(crops))])
        if crops.device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / len(crops) * 1e3)
    return median(times[1:])


if __name__ == "__main__":
    main()
