"""Out of memory, on a GPU or not: which setting to lower, and to what, from what was needed and what there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from tvqsr.gpus import VISIBLE
from tvqsr.plan import Plan, Run
from tvqsr.plan.degradation import Degradation
from tvqsr.plan.training import Training
from tvqsr.shortage import Shortage
from tvqsr.upscale.grid import grid

LAST = "in last_phase "
"""Before what is told of a training's last phase; before what is told of the one ahead of it, nothing."""
ROUND = 16
"""What tiles that are advised are multiples of, beside what the network wants."""
PRESET_GPUS = "`--config 'runtime={gpus: 0}'`"
PRESET_THREADS = "lower `--config 'runtime={{threads: {}}}'`"


def for_training(plan: Plan, run: Run, short: Shortage) -> str:
    """The largest batch, or else crop, with which a step of a run should fit; first, more GPUs that would keep both.

    What a step holds is computed on shapes (`training_memory`), for a process's share of the batch that failed and for
    smaller ones; the ratio of the two is applied to what was measured. Of two phases, the one that needs more counts
    as the one that failed; the other is to be lowered where it is beyond what there is, too.
    """
    last, processes, multiple = run.training.last_phase, plan.preset.runtime.processes, run.method.spec.crop_multiple
    phases = {"": run.training.crops_at(0)} | ({LAST: (last.batch_size, last.hr_crop)} if last else {})
    needs = _needs(run)
    held = {name: needs(batch // processes, crop) for name, (batch, crop) in phases.items()}
    limit = short.share * max(held.values())
    over = {name: phases[name] for name in phases if held[name] > limit}
    shared = f" in {processes} processes" if processes > 1 else ""
    now = ", ".join(f"{name}batch_size is {batch}{shared} and hr_crop {crop}" for name, (batch, crop) in over.items())
    found = {name: _fitting(needs, (batch // processes, crop), limit, multiple) for name, (batch, crop) in over.items()}
    fits = {name: (share[0] * processes, share[1]) for name, share in found.items() if share}
    if len(fits) < len(over):
        return f"{now}, and not even one crop of {multiple} would fit; train on a larger device"
    more = _more_processes(plan, lambda count: all(needs(n // count, side) <= limit for n, side in phases.values()))
    spread = f"keep both on {more} GPUs by `--config 'runtime={{processes: {more}}}'`, or " if more else ""
    lower = ", ".join(
        f"{name}to batch_size {batch}{f' and hr_crop {crop}' if crop != over[name][1] else ''}"
        for name, (batch, crop) in fits.items()
    )
    settings = f"methods: {{{run.method.name}: {{{run.stage}: {{training: {{{_settings(run.training, fits)}}}}}}}}}"
    return (
        f"{now}: {spread if short.where == 'GPU' else ''}lower {lower} at most, in the preset `{settings}`, "
        "and tell so beside the numbers"
    )


def _settings(training: Training, fits: Mapping[str, tuple[int, int]]) -> str:
    """Batch size and crop of phases as a preset has them; a last phase is there whole, or not at all."""
    parts = []
    for name, (batch, crop) in fits.items():
        if name == LAST and training.last_phase:
            iterations = training.last_phase.iterations
            parts.append(f"last_phase: {{iterations: {iterations}, batch_size: {batch}, hr_crop: {crop}}}")
        else:
            parts.append(f"batch_size: {batch}" + (f", hr_crop: {crop}" if crop != training.hr_crop else ""))
    return ", ".join(parts)


def _more_processes(plan: Plan, fit: Callable[[int], bool]) -> int | None:
    """The fewest beyond those of now that `fit`, and that can share every batch of the plan equally."""
    trainings = [run.training for run in plan.runs.values()]
    common = math.gcd(*(of.crops_at(step)[0] for of in trainings for step in (0, of.steps - 1)))
    able = (count for count in range(plan.preset.runtime.processes + 1, common + 1) if common % count == 0)
    return next(filter(fit, able), None)


Needs = Callable[[int, int], float]
"""Of batch size and crop: what a step holds, in MiB."""


def _needs(run: Run) -> Needs:
    """What a step of a run holds, computed on shapes; where its code cannot be, in proportion to its pixels."""
    from tvqsr.efficiency.fresh import fresh_run
    from tvqsr.efficiency.training import training_memory

    last = run.training.steps - 1
    try:
        stage = fresh_run(run)[1][run.name]
        training_memory(stage, 1, run.training.hr_crop, last)
    except Exception:  # noqa: BLE001 (a method's own code, while another error is told)
        return lambda batch, crop: batch * crop * crop / 2**20

    def needs(batch: int, crop: int) -> float:
        try:
            return float(training_memory(stage, batch, crop, last)["total"])
        except Exception:  # noqa: BLE001 (a crop that is too small for some network, as a discriminator)
            return math.inf

    return needs


def _fitting(needs: Needs, failed: tuple[int, int], limit: float, multiple: int) -> tuple[int, int] | None:
    """The largest batch below the failed one that holds at most `limit`; of one crop, the largest crop."""
    batch, crop = failed
    low, high = 0, batch - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needs(middle, crop) <= limit else (low, middle - 1)
    if low:
        return low, crop
    smaller = range(crop // multiple * multiple - (multiple if crop % multiple == 0 else 0), 0, -multiple)
    return next(((1, side) for side in smaller if needs(1, side) <= limit), None)


def for_tiles(short: Shortage, tile: int, sides: tuple[int, int], multiple: int) -> str:
    """The tile with which a photo of these sides should fit: memory goes with its area.

    `tile` is 0 for the whole photo; `multiple` is what the network wants of sides.
    """
    whole = tile == 0 or max(sides) <= tile
    side, least = max(sides) if whole else grid(tile, multiple)[0], grid(1, multiple)[0]

    def area(of: int) -> int:
        return math.prod(min(of, length) for length in sides)

    step = math.lcm(ROUND, multiple)
    lower = (of for of in range((side - 1) // step * step, least, -step) if area(of) <= short.share * area(side))
    smaller = next(lower, least)
    of_now = "the whole photo is done at once" if tile == 0 else f"--tile is {tile}"
    if smaller >= side:
        return f"{of_now}, and tiles of {least} pixels are the smallest of this network; take a device with more memory"
    return f"{of_now}: give `--tile {smaller}`" + (" or less" if smaller > least else ", the smallest of this network")


def for_whole(short: Shortage, what: str, on_cpu: str, less: str = "") -> str:
    """What to do where `what` is done and nothing can be halved: on a GPU, go to the CPU; else `less` of it, if any."""
    if short.where == "GPU":
        return f"{what}; on the CPU it may fit: {on_cpu}"
    return f"{what}; run it where there is more memory{less}"


def for_images(short: Shortage, what: str) -> str:
    """What to do where whole images go through networks, as test images do."""
    on_cpu = f"{PRESET_GPUS}, or take a larger GPU"
    return for_whole(short, f"{what} is done whole", on_cpu, ", or leave the largest photos out of the test set")


def for_threads(count: int, what: str, lower: str, of_one: str) -> str:
    """What to do where so many are in memory at a time: `lower` names the setting for half as many, as `{}`."""
    return f"{count} {what} at a time: {lower.format(max(1, count // 2))}" if count > 1 else of_one


def for_scores(plan: Plan, short: Shortage) -> str:
    """What to do where images are scored, as many at a time as there are threads."""
    of_one = for_images(short, "an image under a metric's network")
    return for_threads(plan.preset.runtime.threads, "images are scored", PRESET_THREADS, of_one)


def for_photo(short: Shortage) -> str:
    """What to do where photos are taken whole, one after the other; on a GPU that is by `tvqsr degrade` alone."""
    on_cpu = "leave `--device cuda` out (the noise is then another)"
    return for_whole(short, "a photo is done whole", on_cpu, ", or leave the largest photos out")


def for_photos(plan: Plan, short: Shortage, degradation: Degradation) -> str:
    """What to do where a set's photos are made ready: those of blind degradations one after the other."""
    count = plan.preset.runtime.threads if degradation == "bicubic" else 1
    return for_threads(count, "photos are made ready", PRESET_THREADS, for_photo(short))


def for_reading(short: Shortage, threads: int, lower: str) -> str:
    """What to do where photos are read to be compared."""
    return for_threads(threads, "photos are read", lower, for_photo(short))


def for_replay(short: Shortage, folder: Path) -> str:
    """What to do where a step is done again: by one process, whatever the training had."""
    return for_whole(short, "one process does the whole batch", f"`{VISIBLE}= tvqsr replay {folder}`")


def for_timing(short: Shortage, on_cpu: str) -> str:
    """What to do where networks are timed, on an image of a fixed size."""
    return for_whole(short, "the image timed is done whole", on_cpu)
