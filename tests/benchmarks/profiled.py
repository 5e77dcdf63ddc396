"""Where a training step's time goes: by operator, by part of the networks, and what share of the matrix rate it has."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from tests.benchmarks.measure import in_turns, matrix_rates, wait
from tests.benchmarks.shares import MARK, shares
from tests.benchmarks.training import Step, Switches, new_stage
from tvqsr.contract import Stage
from tvqsr.efficiency.training import Operations
from tvqsr.methods.tvqrap.x_down import XDownDecoder, XDownEncoder
from tvqsr.nn.autoencoder import Fusion, ImagePath, StructureEncoder, StructurePath, TextureEncoder
from tvqsr.nn.discriminator import PatchDiscriminator
from tvqsr.nn.index_predictor import IndexHead, LrEncoder, LrStructureEncoder
from tvqsr.nn.perceptual import PerceptualLoss
from tvqsr.nn.quantize import Quantizer

PARTS: dict[str, tuple[type[nn.Module], ...]] = {
    "encoder": (TextureEncoder, StructureEncoder),
    "structure path": (StructurePath,),
    "before the codebook": (Fusion,),
    "quantiser": (Quantizer,),
    "decoder": (ImagePath,),
    "X_down": (XDownEncoder, XDownDecoder),
    "predictor": (LrEncoder, LrStructureEncoder, IndexHead),
    "LPIPS": (PerceptualLoss,),
    "discriminator": (PatchDiscriminator,),
}

PRECISIONS = {
    "fp32": Switches(),
    "tf32": Switches(tf32="all"),
    "bf16": Switches(bf16=True),
}
"""By the names of `matrix_rates`. On a CPU, the first alone."""


def profiled(
    device: torch.device, rounds: int, size: str, stages: Mapping[str, tuple[int, int]]
) -> list[dict[str, Any]]:
    """Shares of the step of each stage, by its batch and crop, and its rate against that of a large product.

    The rate in each precision (on a CPU, fp32 alone) is held against the product's in the same one.
    """
    rates = matrix_rates(device)
    told = {name: f"{rate / 1e9:.0f}" for name, rate in rates.items()}
    print("multiply-accumulates a second of the quickest large product or convolution, G:", told)
    return [
        {
            "macs_per_second": rates,
            "stages": [_stage(device, rounds, size, name, *crops, rates) for name, crops in stages.items()],
        }
    ]


def _stage(
    device: torch.device, rounds: int, size: str, name: str, batch: int, crop: int, rates: dict[str, float]
) -> dict[str, Any]:
    print(f"{name}, {size} size: step of {batch} crops of {crop}", flush=True)
    stage = new_stage(size, name)
    step = Step(stage, Switches(), batch, crop, device)
    with Operations() as counted:
        step()
    macs = counted.flops.total() / 2
    print(f"  {macs / 1e9:.0f} GMACs")
    chosen = [precision for precision in PRECISIONS if precision == "fp32" or device.type == "cuda"]
    found = {name: _in_precision(step, stage, name, rounds, device, macs / rates[name]) for name in chosen}
    about = {"stage": name, "size": size, "batch": batch, "hr_crop": crop}
    return about | {"macs": macs, "precisions": found}


def _in_precision(
    step: Step, stage: Stage, precision: str, rounds: int, device: torch.device, least: float
) -> dict[str, Any]:
    """Time and shares; `least` are the seconds that the products alone would take at the matrix rate."""
    step.switches = PRECISIONS[precision]
    seconds = in_turns({precision: step}, rounds, device)[precision]["best_seconds"]
    on_gpu = device.type == "cuda"
    with ExitStack() as marks:
        _mark(stage, step, marks)
        with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
            step()
            wait(device)
    operators, parts, busy = shares(found.events() or (), on_gpu)
    print(f"  {100 * least / seconds:.0f} % of the rate of one {precision} product or convolution", end="")
    # A CPU's time is summed over threads, and taken while torch looked on: no share of the step's.
    print(f", kernels run {busy / 1e4 / seconds:.0f} % of the time" if on_gpu else "")
    for found_shares in (parts, operators):
        told = (f"{part} {100 * value:.1f} %" for part, value in list(found_shares.items())[:12])
        print("  " + ", ".join(told), flush=True)
    return {
        "seconds": seconds,
        "share_of_matrix_rate": least / seconds,
        "device_busy": busy / 1e6 / seconds if on_gpu else None,
        "operators": operators,
        "parts": parts,
    }


def _mark(stage: Stage, step: Step, marks: ExitStack) -> None:
    """Let every part say in the profile that it is at work."""
    own = {id(module) for module in stage.networks.modules()}
    for module in stage.modules():
        for part, kinds in PARTS.items():
            if isinstance(module, kinds):
                frozen = (
                    part in ("encoder", "structure path", "before the codebook", "decoder") and id(module) not in own
                )
                _around(module, "forward", f"{part}, frozen" if frozen else part, marks)
    for optimiser in step.optimisers.values():
        _around(optimiser, "step", "optimiser", marks)
    _around(step.average, "update_parameters", "running average", marks)


def _around(owner: Any, method: str, part: str, marks: ExitStack) -> None:
    inner = getattr(owner, method)

    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(MARK + part):
            return inner(*args, **kwargs)

    setattr(owner, method, marked)
    marks.callback(delattr, owner, method)
