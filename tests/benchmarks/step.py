"""Time of one inference and of training steps on this machine: `python -m tests.benchmarks.step`.

Best and median of interleaved repetitions, after one that is not counted; on a machine that does other work, look at
the best. The two references are the authors' code (github.com/CVL-UESTC/TVQ-RAP at 3417b01) on two cores of an AMD
EPYC (Zen 5), two threads, fp32.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import yaml
from torch.optim import Adam

from tests.conftest import ROOT
from tvqsr.contract import Stage, Trained
from tvqsr.data.crops import Batch
from tvqsr.efficiency.fresh import FreshStages
from tvqsr.plan import Plan, Run
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin
from tvqsr.provenance import provenance

MINI = ROOT / "workflow" / "presets" / "mini.yaml"
AUTHORS_SECONDS = {"inference, published": 0.88, "tokenizer step, published": 2.6}


def main() -> None:
    """Print a line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2, help="of the published size; mini has one")
    options = parser.parse_args()
    made_by = provenance()
    print(yaml.safe_dump({key: made_by[key] for key in ("machine", "python", "packages", "git")}, sort_keys=False))
    torch.set_num_threads(options.threads)
    _report({"inference, published": inference(), "tokenizer step, published": published_step()}, options.repeat)
    torch.set_num_threads(1)
    _report(mini_steps(), options.repeat)


def inference() -> Callable[[], object]:
    """TVQ&RAP at the published size, LR 64 x 64 -> 256 x 256."""
    method = load_method("tvqrap", "benchmark")
    trained = FreshStages({}).build(method, "rap")
    model = load_plugin(method).upscaler(trained).eval().requires_grad_(False)
    image = torch.rand(1, 3, 64, 64)
    return torch.inference_mode()(lambda: model(image))


def published_step() -> Callable[[], object]:
    """The tokenizer's training step at the published size, one crop of 256 pixels, neither GAN nor LPIPS."""
    fresh = FreshStages({"gan_weight": 0.0})
    fresh.build(load_method("tvqrap", "benchmark"), "tokenizer")
    return training_step(fresh.stages["tvqrap.tokenizer"], batch_size=1, hr_crop=256, step=0)


def mini_steps() -> dict[str, Callable[[], object]]:
    """A late step, with all losses on, of each run of the preset `mini`."""
    plan = Plan.load(str(MINI))
    stages: dict[str, Stage] = {}
    trained: dict[str, Trained] = {}
    for name, run in plan.runs.items():
        stages[name] = _stage(run, trained)
    return {
        f"{run.method.name}.{run.stage} step, mini": training_step(
            stages[name], run.training.batch_size, run.training.hr_crop, run.training.iterations - 1
        )
        for name, run in plan.runs.items()
    }


def training_step(stage: Stage, batch_size: int, hr_crop: int, step: int, device: str = "cpu") -> Callable[[], object]:
    """Losses, gradients and Adam's step of every player, as the training loop makes them."""
    layout: dict[str, Any] = {"device": torch.device(device), "memory_format": torch.channels_last}
    stage.train().to(**layout)
    hr, lr = (torch.rand(batch_size, 3, side, side).to(**layout) for side in (hr_crop, hr_crop // 4))
    optimisers = {player: Adam(stage.moved_by(player).parameters(), lr=1e-6) for player in stage.players}

    def once() -> None:
        for player, optimiser in optimisers.items():
            stage.networks.requires_grad_(False)
            stage.moved_by(player).requires_grad_(True)
            if losses := stage(player, Batch(hr, lr), step):
                optimiser.zero_grad()
                torch.stack(list(losses.values())).sum().backward()
                optimiser.step()

    return once


def _stage(run: Run, trained: dict[str, Trained]) -> Stage:
    """A run's stage with fresh weights, from those of the runs before it."""
    needs = {need: trained[needed.name] for need, needed in run.needs.items()}
    stage = load_plugin(run.method).stage(run.stage, run.settings, needs)
    weights = {
        f"{name}.{key}": v for name, network in stage.networks.items() for key, v in network.state_dict().items()
    }
    trained[run.name] = Trained(run.stage, run.settings, weights, needs)
    return stage


def _report(measured: dict[str, Callable[[], object]], repeat: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in measured}
    for round_number in range(repeat + 1):
        for name, run in measured.items():
            started = time.perf_counter()
            run()
            if round_number:
                times[name].append(time.perf_counter() - started)
    for name, seconds in times.items():
        authors = AUTHORS_SECONDS.get(name)
        ratio = f"   {min(seconds) / authors:.2f} of the authors' {1000 * authors:.0f} ms" if authors else ""
        best, middle = 1000 * min(seconds), 1000 * median(seconds)
        print(f"{name:<32}best {best:7.1f} ms   median {middle:7.1f} ms   {torch.get_num_threads()} thread(s){ratio}")


if __name__ == "__main__":
    main()
