"""How much faster than training the loader is: `python -m tests.benchmarks.loader`.

A store of a few gigabytes is made of the photos that come with scikit-image, enlarged to DIV2K's size and repeated, or
of the photos of a folder. Then the loader alone is timed, and beside it a training step of every stage of a preset,
at that stage's own batch and crop, in fp32, without loss terms that need fetched weights (LPIPS, VGG19): the quicker
step is the harder case. Loader and step take turns, so that other work on the machine slows both. The loader alone has
its workers and the thread that takes from them; a step has all cores. Last, steps that take their batches from the
loader at work beside them, against steps that have one: what a training loses by waiting for data.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from PIL import Image

from tests.benchmarks.step import training_step
from tvqsr.data.crops import CropSampler
from tvqsr.data.feed import batches
from tvqsr.data.prepare import prepare
from tvqsr.data.sources import obtain
from tvqsr.efficiency.fresh import fresh_run
from tvqsr.files import write_json
from tvqsr.plan import Plan, Run
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.training import Training
from tvqsr.provenance import provenance

DIV2K = (2040, 1356)
WORKERS = (0, 1, 2)


def main() -> None:
    """Print the loader's rates and memory, then a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder to train on, instead of scikit-image's photos")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="least size of the store")
    parser.add_argument("--steps", type=int, default=2000, help="of the loader alone, for each number of workers")
    parser.add_argument("--rounds", type=int, default=3, help="steps of each stage, the loader's turn between them")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--device", default="cpu", help="where steps are done and LR is made (default: %(default)s)")
    parser.add_argument("--stages", nargs="*", default=[], metavar="METHOD.STAGE", help="these only")
    parser.add_argument("--json", type=Path, help="write all numbers there, too")
    options = parser.parse_args()
    told = {key: provenance()[key] for key in ("machine", "python", "packages", "git")}
    print(yaml.safe_dump(told, sort_keys=False))
    with tempfile.TemporaryDirectory() as work:
        store = Path(work) / "store"
        prepared = _prepared(options.photos, Path(work), store, options.gigabytes)
        plan = Plan.load(options.preset, {"entries": "all"})
        alone = [_alone(store, next(iter(plan.runs.values())).training, workers, options.steps) for workers in WORKERS]
        stages = list(_beside(plan, store, options.rounds, options.stages, options.device))
    if options.json:
        write_json(options.json, {"made_by": told, "prepare": prepared, "loader": alone, "stages": stages})


def _prepared(photos: Path | None, work: Path, store: Path, gigabytes: float) -> dict[str, float]:
    folder = photos or _repeated(work, gigabytes)
    started = time.perf_counter()
    prepare(DatasetSpec(folder=str(folder)), store, True, lambda _: None, threads=os.cpu_count() or 1)
    seconds, size = time.perf_counter() - started, sum(file.stat().st_size for file in store.glob("*.u8")) / 1e9
    print(f"store of {size:.2f} GB prepared in {seconds:.0f} s, anonymous memory then {_anonymous():.0f} MiB")
    return {"gigabytes": size, "seconds": seconds, "anonymous_mib": _anonymous()}


def _repeated(work: Path, gigabytes: float) -> Path:
    """scikit-image's training photos at DIV2K's size, as often as it takes."""
    folder, kept = work / "photos", work / "kept"
    folder.mkdir()
    kept.mkdir()
    found = obtain(DatasetSpec(source="skimage_train"), Places(), lambda _: None).hr.items()
    for name, file in found:
        Image.open(file).convert("RGB").resize(DIV2K, Image.Resampling.BICUBIC).save(kept / f"{name}.bmp")
    files = sorted(kept.iterdir())
    for number in range(int(gigabytes * 1e9 / (3 * DIV2K[0] * DIV2K[1])) + 1):
        (folder / f"{number:04d}.bmp").symlink_to(files[number % len(files)])
    return folder


def _alone(store: Path, training: Training, workers: int, steps: int) -> dict[str, float]:
    torch.set_num_threads(1)
    feed = _endless(store, training, workers, paired=True)
    next(feed)
    before, started = _anonymous(), time.perf_counter()
    for _ in range(steps):
        next(feed)
    rate = steps * training.batch_size / (time.perf_counter() - started)
    samples = 3 * training.hr_crop**2 * (1 + 1 / 16)
    after = _anonymous()
    print(
        f"loader alone, {workers} workers: {rate:.0f} crops/s of {training.hr_crop} pixels, "
        f"{rate * samples / 1e6:.0f} MB/s of 8-bit samples; anonymous memory {before:.0f} -> {after:.0f} MiB"
    )
    return {
        "workers": workers,
        "crops_per_second": rate,
        "megabytes_per_second": rate * samples / 1e6,
        "steps": steps,
        "anonymous_mib_before": before,
        "anonymous_mib_after": after,
    }


def _beside(plan: Plan, store: Path, rounds: int, stages: list[str], device: str) -> Iterator[dict[str, Any]]:
    """Each stage of the preset once, with the settings of the first entry that has it."""
    runs: dict[str, Run] = {}
    for run in plan.runs.values():
        runs.setdefault(f"{run.method.name}.{run.stage}", run)
    for name, run in runs.items():
        if not stages or name in stages:
            yield _line(name, run, store, rounds, device)


def _line(name: str, run: Run, store: Path, rounds: int, device: str) -> dict[str, Any]:
    training, paired, cores = run.training, run.spec.trains_on == "pairs", os.cpu_count() or 1
    stage = fresh_run(run)[1][run.name]
    step = training_step(stage, training.batch_size, training.hr_crop, training.iterations - 1, device)
    alone = _endless(store, training, 0, paired, device)
    beside = _endless(store, training, max(1, cores - 1), paired, device)

    def fed_step() -> None:
        next(beside)
        step()

    ways: dict[str, tuple[int, int, Callable[[], object]]] = {
        "trains": (cores, 1, step),
        "loads": (1, 20, partial(next, alone)),
        "trains_fed": (cores, 1, fed_step),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for round_number in range(rounds + 1):
        for way, (threads, times, once) in ways.items():
            torch.set_num_threads(threads)
            seconds = _seconds(once, times, device)
            if round_number:
                rates[way].append(times * training.batch_size / seconds)
    ratio, kept = median(rates["loads"]) / max(rates["trains"]), max(rates["trains_fed"]) / max(rates["trains"])
    print(
        f"{name:<24} batch {training.batch_size:>2} of {training.hr_crop}: trains {max(rates['trains']):7.1f} images/s "
        f"at best, {100 * kept:.0f} % of it when fed; loader without workers {median(rates['loads']):6.0f} in the "
        f"median: {ratio:6.0f} times",
        flush=True,
    )
    return {"stage": name, **{f"{way}_per_second": found for way, found in rates.items()}, "ratio": ratio, "fed": kept}


def _seconds(once: Callable[[], object], times: int, device: str) -> float:
    """Of so many times, until the device is done."""
    started = time.perf_counter()
    for _ in range(times):
        once()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _endless(store: Path, training: Training, workers: int, paired: bool, device: str = "cpu") -> Iterator[object]:
    sampler = CropSampler(store, training, seed=0, with_lr=paired)
    return itertools.chain.from_iterable(batches(sampler, 0, torch.device(device), workers) for _ in itertools.count())


def _anonymous() -> float:
    """Memory of this process that is no file's, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


if __name__ == "__main__":
    main()
