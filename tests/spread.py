"""A few steps of stages in so many processes: `python -m tests.spread PROCESSES PRESET PHOTOS OUT METHOD.STAGE ...`.

By plain gradient descent instead of Adam, which would hide gradients of a wrong scale, and in float64: in float32 a
rounding flips a code, and GAN trainings part within four steps. Fabric starts its processes by
the command line of the first, so that tests call this as a command. Writes `OUT/METHOD.STAGE.safetensors` and `.json`,
the curve.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from torch.optim import SGD, Optimizer

from tests.untrained import run_of, untrained
from tvqsr.contract import Stage
from tvqsr.data.crops import CropSampler
from tvqsr.files import write_json
from tvqsr.plan import Plan, Run
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.train.loop import fit

SEED = 0


def descent(stage: Stage, player: str, training: Training) -> Optimizer:
    return SGD(stage.moved_by(player).parameters(), lr=training.learning_rate)


def spread(run: Run, photos: Path, out: Path, processes: int) -> None:
    """Fit a stage, from fresh networks of all that it needs."""
    name = f"{run.method.name}.{run.stage}"
    sampler = CropSampler(photos, run.training, SEED, with_lr=run.spec.trains_on == "pairs")
    runtime = Runtime(threads=1, gpus=0, processes=processes, checkpoint_seconds=1e6, progress_seconds=1e6)
    result = fit(lambda: untrained(run)[0], sampler, seed=SEED, state=out / name, key=name, runtime=runtime, label=name)
    save_file({key: value.contiguous() for key, value in result.weights.items()}, out / f"{name}.safetensors")
    write_json(out / f"{name}.json", result.curve)


def main(processes: str, preset: str, photos: str, out: str, *stages: str) -> None:
    """As the command line has it. A process that only helps leaves each `fit` by SystemExit."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    plan = Plan.load(preset, {"entries": "all"})
    with patch("tvqsr.train.loop._adam", descent), patch.object(torch.Tensor, "float", torch.Tensor.double):
        for stage in stages:
            with suppress(SystemExit):
                spread(run_of(plan, *stage.split(".")), Path(photos), Path(out), int(processes))


if __name__ == "__main__":
    main(*sys.argv[1:])
