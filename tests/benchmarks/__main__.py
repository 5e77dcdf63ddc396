"""How fast the suite is, against plain PyTorch: `python -m tests.benchmarks`.

Training steps of TVQ&RAP's three stages, each switch on and off; where a step's time goes; the nearest-code search;
inference. "Plain" is the same mathematics in eager fp32: contiguous layout, torch's own layers, Adam parameter by
parameter, nothing in TF32. Ways take turns until every way's best time was seen twice; ratios are of the best times.
Peak memory is measured apart, each way in a process of its own. The same on a GPU, with the batches and crops that
are trained with and compiled blocks among the ways, and on a CPU, with smaller ones, where it takes a good half hour
on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

from tests.benchmarks.inference import inference
from tests.benchmarks.large import SIDES, large
from tests.benchmarks.profiled import profiled
from tests.benchmarks.quality import quality
from tests.benchmarks.seams import seams
from tests.benchmarks.search import TOKENS, search
from tests.benchmarks.training import CPU_CROPS, STAGES, crops, training
from tvqsr.files import write_json
from tvqsr.plan.paths import BENCHMARKS
from tvqsr.provenance import provenance

PARTS = ("search", "inference", "training", "profile", "large", "quality", "seams")
GIVEN = {"quality": ("run",), "seams": ("run", "photos")}
"""Options that a part is left out without."""


def main() -> None:
    """Print and write each part as it is done."""
    options = _options()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    made_by = {key: provenance()[key] for key in ("machine", "python", "packages", "git")}
    told = {"made_by": made_by, "device": options.device, "threads": options.threads, "rounds": options.rounds}
    print(yaml.safe_dump(told, sort_keys=False))
    with TemporaryDirectory() as cache:
        parts = _parts(options, device, compiled_code(options, device, Path(cache)))
        for part in options.only:
            if lacking := [f"--{name}" for name in GIVEN.get(part, ()) if getattr(options, name) is None]:
                print(f"{part}: left out without {' and '.join(lacking)}\n")
                continue
            try:
                result = parts[part]()
            except torch.OutOfMemoryError as error:
                raise SystemExit(f"{part}: {error}; give smaller --batch or --crop, or other parts by --only") from None
            path = options.into / f"{part}.json"
            write_json(path, told | {part: result})
            print(f"written: {path}\n", flush=True)


def compiled_code(options: argparse.Namespace, device: torch.device, temporary: Path) -> Path | None:
    """Folder of what torch.compile makes; None where it is not measured."""
    if options.no_compile:
        return None
    given: Path | None = options.compile
    return given or (temporary if device.type == "cuda" else None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--rounds", type=int, default=3, help="of each way at least; on a busy machine up to four times as many"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--sizes", nargs="+", choices=CPU_CROPS, default=["small", "paper"])
    parser.add_argument("--batch", type=int, help="crops of a step (default: as trained with; on a CPU, fewer)")
    parser.add_argument("--crop", type=int, help="side of their HR (default: likewise)")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of the search")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="of the large LR images")
    parser.add_argument("--run", type=Path, help="finished run, for what bf16 and tiles do to its images")
    parser.add_argument("--photos", type=Path, help="folder of large ones, for what tiles do to them")
    parser.add_argument("--entry", default="tvqrap", help="of that run")
    compiled = parser.add_mutually_exclusive_group()
    compiled.add_argument(
        "--compile",
        type=Path,
        metavar="CACHE",
        help="measure torch.compile, too, and keep its code there; a GPU does so by default, in a temporary folder",
    )
    compiled.add_argument("--no-compile", action="store_true", help="leave it out on a GPU, too")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory: a process for each way")
    parser.add_argument("--into", type=Path, default=BENCHMARKS, help="folder of the JSON files")
    return parser.parse_args()


def _parts(options: argparse.Namespace, device: torch.device, compiled: Path | None) -> dict[str, Callable[[], Any]]:
    rounds, memory = options.rounds, not options.no_memory

    def stages(size: str) -> dict[str, tuple[int, int]]:
        found = {name: crops(size, name, device) for name in options.stages}
        return {name: (options.batch or batch, options.crop or crop) for name, (batch, crop) in found.items()}

    return {
        "search": lambda: search(device, rounds, options.tokens),
        "inference": lambda: inference(device, rounds, compiled, memory),
        "training": lambda: [
            stage for size in options.sizes for stage in training(device, rounds, size, stages(size), compiled, memory)
        ],
        "profile": lambda: [stage for size in options.sizes for stage in profiled(device, rounds, size, stages(size))],
        "large": lambda: [large(device, side) for side in options.sides],
        "quality": lambda: quality(options.run, options.entry),
        "seams": lambda: seams(options.run, options.entry, options.photos),
    }


if __name__ == "__main__":
    main()
