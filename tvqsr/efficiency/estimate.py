"""What the trainings of a preset will cost, counted on shapes alone before anyone starts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tvqsr.contract import Stage
from tvqsr.efficiency.fresh import fresh_run
from tvqsr.efficiency.training import step_flops, training_memory
from tvqsr.plan import Plan, Run

PEAKS: dict[str, dict[str, float]] = {
    "h200": {"32-true": 494.5, "tf32": 494.5, "bf16-mixed": 989.5},
    "h100": {"32-true": 494.5, "tf32": 494.5, "bf16-mixed": 989.5},
    "a100": {"32-true": 156.0, "tf32": 156.0, "bf16-mixed": 312.0},
    "rtx4090": {"32-true": 82.6, "tf32": 82.6, "bf16-mixed": 165.2},
}
"""Dense matrix rate by precision, in TFLOP/s, of NVIDIA's data sheets (H100 and A100: SXM); fp32 goes by TF32."""
SHARE = 0.3
"""Of that rate a training is taken to reach: no measurement."""
SECONDS = 3600


@dataclass(frozen=True)
class Estimate:
    """Cost of one training: of one seed."""

    run: Run
    seeds: int
    teraflops: float
    """Of all its steps, in 10^12 operations."""
    memory_mib: float
    """What its largest step holds in fp32."""

    def hours(self, rate: float) -> float:
        """On a device that computes `rate` TFLOP/s."""
        return self.teraflops / rate / SECONDS


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


def _teraflops(stage: Stage, run: Run) -> float:
    return sum(count * step_flops(stage, batch, crop, step) for count, batch, crop, step in _phases(run)) / 1e12


def _memory(stage: Stage, run: Run) -> float:
    return max(training_memory(stage, batch, crop, step)["total"] for _, batch, crop, step in _phases(run))


def rates_of(gpu: str, share: float) -> dict[str, float]:
    """TFLOP/s that a GPU is taken to compute, by precision."""
    return {precision: peak * share for precision, peak in PEAKS[gpu].items()}


def told(plan: Plan, found: list[Estimate], rates: dict[str, float], assumed: str) -> str:
    """Estimates as a table, with their sum in hours of one device and what they rest on."""
    from tabulate import tabulate

    hours = [estimate.hours(rates[estimate.run.training.precision]) for estimate in found]
    rows = [
        (
            e.run.name,
            e.run.training.steps,
            e.run.training.images,
            e.teraflops / 1000,
            e.memory_mib / 1024,
            time,
            e.seeds,
        )
        for e, time in zip(found, hours, strict=True)
    ]
    total = sum(time * estimate.seeds for estimate, time in zip(found, hours, strict=True))
    heads = ("training", "steps", "crops", "PFLOP", "GiB", "hours", "seeds")
    precisions = sorted({estimate.run.training.precision for estimate in found})
    said = ", ".join(f"{rates[precision]:.3g} TFLOP/s ({precision})" for precision in precisions)
    return (
        f"{tabulate(rows, heads, floatfmt=('', ',', ',', ',.3g', '.1f', ',.3g', ''), intfmt=',')}\n\n"
        f"{total:,.3g} hours of one device for all trainings and seeds of preset `{plan.name}`, at {said}: {assumed}.\n"
        "Not counted: upscaling, scores, and what is no matrix product. GiB: weights, gradients, Adam, the running "
        "average, and what the largest step keeps for backward, in fp32."
    )
