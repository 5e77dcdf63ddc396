"""How wall time and memory grow: `python -m tests.benchmarks.growth`.

With the number of photos, their size, the codes of a codebook, the entries of a preset and its seeds: each at three
points, by the commands that users call, on the tiny preset's networks. Every command starts Python and torch anew, some
seconds that do not grow: so a point less the one before is what tells. Needs twenty minutes of a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tabulate import tabulate

from tests.conftest import ROOT, TINY
from tvqsr.data.images import write_png
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.paths import BENCHMARKS
from tvqsr.provenance import provenance

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--quiet", "all"]
TVQSR = [sys.executable, "-m", "tvqsr"]
CODES = (256, 1024, 4096)
PHOTOS, SIDES = (64, 256, 1024), (64, 256, 1024)
ENTRIES = (["vq"], ["vq", "esrgan"], ["vq", "esrgan", "ldl", "femasr"])
SEEDS = ([0], [0, 1], [0, 1, 2, 3])
PHOTO_SIDE = 64
STEPS = 40
ROUNDS = 3
"""Of commands that may be repeated as they are: the best counts."""

Cost = dict[str, float]
Points = Iterator[tuple[int, Cost]]


def main() -> None:
    """Print a line per point and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", choices=MEASURED, action="append", help="may be given several times (default: all)")
    parser.add_argument("--json", type=Path, default=BENCHMARKS / "growth.json")
    options = parser.parse_args()
    made_by = {key: provenance()[key] for key in ("machine", "python", "packages", "git")}
    print(yaml.safe_dump(made_by, sort_keys=False))
    result: dict[str, Any] = {"made_by": made_by, "cores": options.cores}
    path = options.json.absolute()
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for what in options.only or MEASURED:
            points = [{what: count} | cost for count, cost in MEASURED[what](options.cores)]
            print(tabulate(points, headers="keys", floatfmt=".1f"), "\n", flush=True)
            result[what] = points
    write_json(path, result)


def measured(*commands: Sequence[str]) -> Cost:
    """Wall and processor seconds of commands, one after the other, and the most memory that one process held."""
    seconds = processor = peak = 0.0
    for command in commands:
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{said}")
        seconds += time.perf_counter() - started
        processor += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
    return {"wall_seconds": seconds, "processor_seconds": processor, "peak_mib": peak}


def by_photos(cores: int) -> Points:
    """Upscaling and scoring of photos of 64 x 64, x4."""
    network = trained("photos", cores)
    for count in PHOTOS:
        yield count, _upscaled_and_scored(network, count, PHOTO_SIDE)


def by_side(cores: int) -> Points:
    """Upscaling and scoring of one square photo, x4."""
    network = trained("sides", cores)
    for side in SIDES:
        yield side, _upscaled_and_scored(network, 1, side)


def by_codes(cores: int) -> Points:
    """A short training of a vanilla VQ tokenizer with codebooks of other sizes, on one core."""
    for codes in CODES:
        changes = {"codebook_size": codes, "width": 32}
        plan = written(f"codes{codes}", {"methods": {"vq": {"tokenizer": {"settings": changes}}}}, iterations=STEPS)
        measured([*TVQSR, "record", "--preset", f"codes{codes}.yaml"])
        measured([*TVQSR, "prepare", str(plan.paths.root), "photos_train"])
        run = next(name for name, run in plan.runs.items() if (run.method.name, run.stage) == ("vq", "tokenizer"))
        yield codes, measured([*TVQSR, "train", str(plan.paths.root), run])


def by_entries(cores: int) -> Points:
    """The whole tiny preset, trainings of four steps included, with so many entries."""
    for entries in ENTRIES:
        written(name := f"entries{len(entries)}", {})
        yield len(entries), measured(_workflow(name, cores, f"entries=[{','.join(entries)}]"))


def by_seeds(cores: int) -> Points:
    """The same with one entry and so many seeds."""
    for seeds in SEEDS:
        written(name := f"seeds{len(seeds)}", {"seeds": seeds})
        yield len(seeds), measured(_workflow(name, cores, "entries=[vq]"))


MEASURED: Mapping[str, Callable[[int], Points]] = {
    "photos": by_photos,
    "side": by_side,
    "codes": by_codes,
    "entries": by_entries,
    "seeds": by_seeds,
}


def written(name: str, changes: Mapping[str, Any], iterations: int | None = None) -> Plan:
    """A preset that changes the tiny one, and its plan."""
    training = {} if iterations is None else {"training": {"iterations": iterations}}
    Path(f"{name}.yaml").write_text(yaml.safe_dump({"extends": str(TINY), **training, **changes}))
    return Plan.load(f"{name}.yaml")


def trained(name: str, cores: int) -> Path:
    """Results of a preset whose `tvqrap` is trained."""
    plan = written(name, {})
    run = plan.entry("tvqrap").run
    assert run
    measured(_workflow(name, cores, "entries=[tvqrap]", str(plan.paths.weights(run.name, 0))))
    return plan.paths.root


def _workflow(name: str, cores: int, entries: str, *targets: str) -> list[str]:
    return [*SNAKEMAKE, "--cores", str(cores), *targets, "--config", f"preset={name}.yaml", entries]


def _upscaled_and_scored(network: Path, count: int, side: int) -> Cost:
    """Of either command, on noise: what is in a photo costs nothing."""
    random = np.random.default_rng(0)
    lr, sr, hr = (Path(f"{kind}_{count}_{side}") for kind in ("lr", "sr", "hr"))
    for folder, scale in ((lr, 1), (hr, 4)):
        for number in range(count):
            pixels = random.integers(0, 256, (scale * side, scale * side, 3), dtype=np.uint8)
            write_png(folder / f"{number}.png", pixels)
    upscale = [*TVQSR, "upscale", str(lr), str(sr), "--run", str(network), "--entry", "tvqrap"]
    score = [*TVQSR, "score", "--sr", str(sr), "--hr", str(hr), "--protocol", "psnr_y", "--protocol", "ssim_y"]
    costs = {name: best(command) for name, command in (("upscaling", upscale), ("scoring", score))}
    return {f"{name}_{key}": value for name, cost in costs.items() for key, value in cost.items()}


def best(command: Sequence[str]) -> Cost:
    """The least of each time over some rounds, and the most memory."""
    rounds = [measured(command) for _ in range(ROUNDS)]
    return {key: (max if key == "peak_mib" else min)(cost[key] for cost in rounds) for key in rounds[0]}


if __name__ == "__main__":
    main()
