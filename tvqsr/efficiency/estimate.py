"""What the trainings of a preset will cost, counted on shapes alone before anyone starts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tvqsr.contract import Stage
from tvqsr.efficiency.fresh import fresh_run
from tvqsr.efficiency.training import step_flops, training_memory
from tvqsr.plan import Plan, Run

PEAKS: dict[str, dict[str, float]] = {
    "h200": {"fp32": 66.9, "tf32": 494.5, "bf16": 989.5},
    "h100": {"fp32": 66.9, "tf32": 494.5, "bf16": 989.5},
    "a100": {"fp32": 19.5, "tf32": 156.0, "bf16": 312.0},
    "rtx4090": {"fp32": 82.6, "tf32": 82.6, "bf16": 165.2},
}
"""Dense rates in TFLOP/s, of NVIDIA's white papers on Hopper, Ampere and Ada (H100 and A100: SXM; sums in fp32).

Convolutions in fp32 go by `tf32`, matrix products by it where a training's precision says so: `step_flops` tells which.
"""
SECONDS = 3600


@dataclass(frozen=True)
class Estimate:
    """Cost of one training: of one seed."""

    run: Run
    seeds: int
    teraflops: Mapping[str, float]
    """Of all its steps, in 10^12 operations, by the rate that they go by."""
    memory_mib: float
    """What its largest step holds in fp32."""

    def hours(self, rates: Mapping[str, float]) -> float:
        """On a device that computes `rates` TFLOP/s."""
        return sum(count / rates[rate] for rate, count in self.teraflops.items()) / SECONDS


def estimates(plan: Plan) -> Iterator[Estimate]:
    """One for each run that is trained, in the plan's order; each takes seconds."""
    for name, run in plan.runs.items():
        if not run.released:
            stage = fresh_run(run, perceptual=True)[1][name]
            yield Estimate(run, len(plan.seeds_of(name)), _teraflops(stage, run), _memory(stage, run))


def _phases(run: Run) -> list[tuple[int, int, int, int]]:
    """Iterations, batch, crop, and the last step, when all losses are on, of each phase of a training."""
    training = run.training
    phases = [(training.iterations, *training.crops_at(0), training.iterations - 1)]
    if last := training.last_phase:
        phases.append((last.iterations, last.batch_size, last.hr_crop, training.steps - 1))
    return phases


def _teraflops(stage: Stage, run: Run) -> dict[str, float]:
    total: Counter[str] = Counter()
    for count, batch, crop, step in _phases(run):
        flops = step_flops(stage, batch, crop, step, run.training.precision)
        total.update({rate: count * operations for rate, operations in flops.items()})
    return {rate: count / 1e12 for rate, count in total.items()}


def _memory(stage: Stage, run: Run) -> float:
    return max(training_memory(stage, batch, crop, step)["total"] for _, batch, crop, step in _phases(run))


def rates_of(gpu: str, share: float) -> dict[str, float]:
    """TFLOP/s that a GPU is taken to compute: the same share of each peak."""
    return {rate: peak * share for rate, peak in PEAKS[gpu].items()}


def told(plan: Plan, found: list[Estimate], rates: dict[str, float], assumed: str) -> str:
    """Estimates as a table, with their sum in hours of one device and what they rest on."""
    from tabulate import tabulate

    hours = [estimate.hours(rates) for estimate in found]
    used = [rate for rate in rates if any(rate in estimate.teraflops for estimate in found)]
    rows = [
        (
            e.run.name,
            e.run.training.steps,
            e.run.training.images,
            *(e.teraflops.get(rate, 0) / 1000 for rate in used),
            e.memory_mib / 1024,
            time,
            e.seeds,
        )
        for e, time in zip(found, hours, strict=True)
    ]
    total = sum(time * estimate.seeds for estimate, time in zip(found, hours, strict=True))
    heads = ("training", "steps", "crops", *(f"{rate} PFLOP" for rate in used), "GiB", "hours", "seeds")
    floats = ("", ",", ",", *(",.3g" for _ in used), ".1f", ",.3g", "")
    said = ", ".join(f"{rates[rate]:.3g} TFLOP/s ({rate})" for rate in used)
    return (
        f"{tabulate(rows, heads, floatfmt=floats, intfmt=',')}\n\n"
        f"{total:,.3g} hours of one device for all trainings and seeds of preset `{plan.name}`, at {said}: {assumed}.\n"
        "Convolutions in fp32 go by TF32, as torch has them. Not counted: upscaling, scores, and what is neither "
        "convolution nor matrix product. GiB: weights, gradients, Adam, the running "
        "average, and what the largest step keeps for backward, in fp32."
    )
