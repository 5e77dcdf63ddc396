"""Out of memory, on a GPU or not: which setting to lower, and to what, from what was needed and what there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from tvqsr.gpus import VISIBLE
from tvqsr.plan import Plan, Run
from tvqsr.plan.degradation import Degradation
from tvqsr.shortage import Shortage

PRESET_GPUS = "`--config 'runtime={gpus: 0}'`"
PRESET_THREADS = "lower `--config 'runtime={{threads: {}}}'`"


def for_training(plan: Plan, run: Run, short: Shortage) -> str:
    """The largest batch, or else crop, with which a step of a run should fit; first, more GPUs that would keep both.

    What a step holds is computed on shapes (`training_memory`), for a process's share of the batch that failed and for
    smaller ones; the ratio of the two is applied to what was measured.
    """
    training, last, processes = run.training, run.training.last_phase, plan.preset.runtime.processes
    whole = {"": training.crops_at(0)} | ({"last_phase.": (last.batch_size, last.hr_crop)} if last else {})
    needs = _needs(run)
    phase = max(whole, key=lambda name: needs(whole[name][0] // processes, whole[name][1]))
    batch, crop = whole[phase]
    limit = short.share * needs(batch // processes, crop)
    share = _fitting(needs, (batch // processes, crop), limit, run.method.spec.crop_multiple)
    now = f"batch_size is {batch}{f' in {processes} processes' if processes > 1 else ''} and hr_crop {crop}"
    if share is None:
        return f"{now}, and not even one crop of {run.method.spec.crop_multiple} would fit; train on a larger device"
    fits = share[0] * processes, share[1]
    where = f"`methods: {{{run.method.name}: {{{run.stage}: {{training: {{"
    changed = f"batch_size: {fits[0]}" + (f", hr_crop: {fits[1]}" if fits[1] != crop else "")
    nested = f"last_phase: {{iterations: {last.iterations}, {_both(fits)}}}" if phase and last else changed
    more = _more_processes(plan, lambda count: all(needs(n // count, side) <= limit for n, side in whole.values()))
    spread = f"keep both on {more} GPUs by `--config 'runtime={{processes: {more}}}'`, or " if more else ""
    return (
        f"{now}: {spread if short.where == 'GPU' else ''}"
        f"lower to batch_size {fits[0]}{f' and hr_crop {fits[1]}' if fits[1] != crop else ''} at most, in the "
        f"preset {where}{nested}}}}}}}}}`, and tell so beside the numbers"
    )


def _more_processes(plan: Plan, fit: Callable[[int], bool]) -> int | None:
    """The fewest beyond those of now that `fit`, and that can share every batch of the plan equally."""
    trainings = [run.training for run in plan.runs.values()]
    common = math.gcd(*(of.crops_at(step)[0] for of in trainings for step in (0, of.steps - 1)))
    able = (count for count in range(plan.preset.runtime.processes + 1, common + 1) if common % count == 0)
    return next(filter(fit, able), None)


def _both(sizes: tuple[int, int]) -> str:
    return f"batch_size: {sizes[0]}, hr_crop: {sizes[1]}"


Needs = Callable[[int, int], float]
"""Of batch size and crop: what a step holds, in MiB."""


def _needs(run: Run) -> Needs:
    """What a step of a run holds, computed on shapes; where its code cannot be, in proportion to its pixels."""
    from tvqsr.efficiency.fresh import fresh_run
    from tvqsr.efficiency.training import training_memory

    try:
        stage = fresh_run(run)[1][run.name]
        last = run.training.steps - 1
        training_memory(stage, 1, run.method.spec.crop_multiple, last)
    except Exception:  # noqa: BLE001 (a method's own code, while another error is told)
        return lambda batch, crop: batch * crop * crop / 2**20
    return lambda batch, crop: float(training_memory(stage, batch, crop, last)["total"])


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


def for_tiles(short: Shortage, tile: int, longest: int) -> str:
    """The tile with which a photo should fit: memory goes with its area. `tile` is 0 for the whole photo."""
    side = min(tile, longest) if tile else longest
    smaller = int(side * math.sqrt(short.share)) // 16 * 16
    if smaller < 16:
        return f"tiles of {side} pixels are the smallest that make sense; take a device with more memory"
    of_now = f"--tile is {tile}" if tile else "the whole photo is done at once"
    return f"{of_now}: give `--tile {smaller}` or less"


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
