"""How much faster than pyiqa scoring is: `python -m tests.benchmarks.scores`.

PSNR-Y, SSIM-Y and LPIPS (AlexNet) of real photos against what bicubic shrinking and enlarging left of them, whole
images, in pyiqa's conventions: by pyiqa, image by image, with all cores for each image and with one; and by
`score_photos`, one method and several in one pass. The ratio is to pyiqa's quicker way. The ways take turns over parts
of the photos, so that other work on the machine slows all of them; files are read anew each time by each. Values are
compared, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tvqsr.data.bicubic import mod_crop, resize
from tvqsr.data.images import read_image, write_png
from tvqsr.files import write_json
from tvqsr.plan.paths import BENCHMARKS
from tvqsr.provenance import provenance
from tvqsr.score.pairs import score_photos
from tvqsr.score.photos import Conditions, Photo
from tvqsr.score.protocols import protocols

SHARED = ROOT.parent / "shared"
NAMES = ("psnr_y_pyiqa", "ssim_y_pyiqa", "lpips_alex")
METHODS = 4
"""In one pass; the images of all are the same here, which only spares making more."""


@dataclass
class Way:
    """A way of scoring: seconds of each part, and values of each image."""

    methods: int = 1
    seconds: list[float] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)

    def told(self, images: int) -> dict[str, float]:
        each = sum(self.seconds) / images / self.methods
        return {"milliseconds_per_image": 1000 * each, "images_per_second": 1 / each}


def main() -> None:
    """Print and write the rates, their ratios and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "training_photos" / "bsds500_train_test")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--part", type=int, default=6, help="images between turns")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, default=BENCHMARKS / "scores.json")
    options = parser.parse_args()
    os.environ.setdefault("TORCH_HOME", str(SHARED / "weights" / "torch_home"))
    made_by = {key: provenance()[key] for key in ("machine", "python", "packages", "git")}
    print(yaml.safe_dump(made_by, sort_keys=False))
    with tempfile.TemporaryDirectory() as work:
        photos = _photos(options.photos, Path(work), options.images)
        result = _compared(photos, options.part, options.threads)
    told = {"made_by": made_by, "photos": str(options.photos.name), "images": len(photos), "threads": options.threads}
    print(yaml.safe_dump(result, sort_keys=False))
    write_json(options.json, told | result)


def _photos(folder: Path, work: Path, count: int) -> list[Photo]:
    """HR and what is left of it after x4 bicubic, there and back, as PNGs."""
    found = []
    for file in sorted(folder.iterdir())[:count]:
        hr = mod_crop(read_image(file), 4)
        paths = [work / side / f"{file.stem}.png" for side in ("sr", "hr")]
        for path, pixels in zip(paths, (resize(resize(hr, Fraction(1, 4)), Fraction(4)), hr), strict=True):
            write_png(path, pixels)
        found.append(Photo(file.stem, (paths[0],), paths[1]))
    return found


def _compared(photos: Sequence[Photo], part: int, threads: int) -> dict[str, Any]:
    metrics = _metrics()
    ours, several = Way(), Way(METHODS)
    theirs = {threads: Way(), 1: Way()}
    # Once without counting: networks are loaded, and libraries have chosen their kernels.
    for way in (ours, several):
        _by_us(photos[:2], way, threads)
    for count, way in theirs.items():
        _by_pyiqa(photos[:2], way, metrics, count)
    for way in (ours, several, *theirs.values()):
        way.seconds, way.values = [], []
    for start in range(0, len(photos), part):
        chosen = photos[start : start + part]
        for count, way in theirs.items():
            _by_pyiqa(chosen, way, metrics, count)
        for way in (ours, several):
            _by_us(chosen, way, threads)
    quicker = min(theirs.values(), key=lambda way: sum(way.seconds))
    off = {
        name: max(abs(a[i] - b[i]) for a, b in zip(ours.values, quicker.values, strict=True))
        for i, name in enumerate(NAMES)
    }
    rates = {f"pyiqa, threads {count}": way for count, way in theirs.items()} | {
        "tvqsr": ours,
        f"tvqsr, {METHODS} methods in one pass": several,
    }
    return {
        "rates": {name: way.told(len(photos)) for name, way in rates.items()},
        "ratio": sum(quicker.seconds) / sum(ours.seconds),
        "ratio_several": sum(quicker.seconds) / sum(several.seconds) * METHODS,
        "ratio_of_parts": [a / b for a, b in zip(quicker.seconds, ours.seconds, strict=True)],
        "largest_difference": off,
    }


def _metrics() -> list[Any]:
    import pyiqa

    luma = {"test_y_channel": True, "color_space": "ycbcr"}
    with redirect_stdout(sys.stderr):
        return [
            pyiqa.create_metric(name, device="cpu", **options)
            for name, options in (("psnr", luma), ("ssim", luma), ("lpips", {}))
        ]


def _by_pyiqa(photos: Sequence[Photo], way: Way, metrics: Sequence[Any], threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    started = time.perf_counter()
    way.values += [[float(metric(str(photo.sr[0]), str(photo.hr))) for metric in metrics] for photo in photos]
    way.seconds.append(time.perf_counter() - started)


def _by_us(photos: Sequence[Photo], way: Way, threads: int) -> None:
    given = [Photo(photo.name, photo.sr * way.methods, photo.hr) for photo in photos]
    started = time.perf_counter()
    scores = score_photos(given, protocols(NAMES, "here"), Conditions(0, workers=threads))[0]
    way.seconds.append(time.perf_counter() - started)
    values = [score.value for score in scores if score.value is not None]
    way.values += [values[start : start + len(NAMES)] for start in range(0, len(values), len(NAMES))]


if __name__ == "__main__":
    main()
