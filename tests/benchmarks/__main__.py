"""How fast the suite is, against plain PyTorch: `python -m tests.benchmarks`.

Training steps of TVQ&RAP's three stages, each switch on and off; where a step's time goes; the nearest-code search;
inference. "Plain" is the same mathematics in eager fp32: contiguous layout, torch's own layers, Adam parameter by
parameter. Ways take turns; ratios are of the best times. The same on a GPU and on a CPU, where all but `large` takes
some ten minutes on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.benchmarks.inference import inference, large
from tests.benchmarks.profiled import profiled
from tests.benchmarks.quality import quality
from tests.benchmarks.search import TOKENS, search
from tests.benchmarks.training import CROPS, STAGES, training
from tvqsr.files import write_json
from tvqsr.plan.paths import BENCHMARKS
from tvqsr.provenance import provenance

PARTS = ("search", "inference", "training", "profile", "large", "quality")


def main() -> None:
    """Print and write each part as it is done."""
    options = _options()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    made_by = {key: provenance()[key] for key in ("machine", "python", "packages", "git")}
    told = {"made_by": made_by, "device": options.device, "threads": options.threads, "rounds": options.rounds}
    print(yaml.safe_dump(told, sort_keys=False))
    for part in options.only:
        if part == "quality" and options.run is None:
            print("quality: give a finished run with --run\n")
            continue
        result = _parts(options, device)[part]()
        path = options.into / f"{part}.json"
        write_json(path, told | {part: result})
        print(f"written: {path}\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="of each way, after one that is not timed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--sizes", nargs="+", choices=CROPS, default=["small", "paper"])
    parser.add_argument("--batch", type=int, help="crops of a training step")
    parser.add_argument("--crop", type=int, help="side of their HR")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of the search")
    parser.add_argument("--side", type=int, default=512, help="of the large LR image")
    parser.add_argument("--run", type=Path, help="finished run, for what bf16 does to its images")
    parser.add_argument("--entry", default="tvqrap", help="of that run")
    parser.add_argument("--compile", type=Path, metavar="CACHE", help="measure torch.compile, too; keep its code there")
    parser.add_argument("--into", type=Path, default=BENCHMARKS, help="folder of the JSON files")
    return parser.parse_args()


def _parts(options: argparse.Namespace, device: torch.device) -> dict[str, Callable[[], Any]]:
    stages, rounds = tuple(options.stages), options.rounds

    def crops(size: str) -> tuple[int, int]:
        batch, crop = CROPS[size]
        return options.batch or batch, options.crop or crop

    return {
        "search": lambda: search(device, rounds, options.tokens),
        "inference": lambda: inference(device, rounds, options.compile),
        "training": lambda: [
            stage
            for size in options.sizes
            for stage in training(device, rounds, size, stages, crops(size), options.compile)
        ],
        "profile": lambda: [
            stage for size in options.sizes for stage in profiled(device, rounds, size, stages, crops(size))
        ],
        "large": lambda: large(device, options.side),
        "quality": lambda: quality(options.run, options.entry),
    }


if __name__ == "__main__":
    main()
