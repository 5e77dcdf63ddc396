"""Out of memory, on a GPU or not: which setting to lower, and to what, from what was needed and what there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from tvqsr.plan import Plan, Run
from tvqsr.shortage import Shortage


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


def for_images(plan: Plan, what: str) -> str:
    """What to do where whole images go through networks, as test images do."""
    if plan.preset.runtime.gpus:
        return f"{what} is done whole; on the CPU it may fit: `--config 'runtime={{gpus: 0}}'`, or take a larger GPU"
    return f"{what} is done whole; run it where there is more memory, or leave the largest photos out of the test set"


def for_replay(plan: Plan, folder: Path) -> str:
    """What to do where a step is done again: by one process, whatever the training had."""
    if plan.preset.runtime.gpus:
        return f"one process does the whole batch; on the CPU it may fit: `CUDA_VISIBLE_DEVICES= tvqsr replay {folder}`"
    return "one process does the whole batch; run it where there is more memory"


def for_scores(plan: Plan) -> str:
    """What to do where images are scored, as many at a time as there are threads."""
    threads = plan.preset.runtime.threads
    if threads > 1:
        return f"{threads} images are scored at a time: lower `--config 'runtime={{threads: {max(1, threads // 2)}}}'`"
    return for_images(plan, "an image under a metric's network")
