"""Where a training step's time goes: by operator, by part of the networks, and what share of the matrix rate it has."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.measure import in_turns, matrix_rate
from tests.benchmarks.training import Step, Switches, new_stage
from tvqsr.contract import Stage
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
MARK = "part: "


def profiled(
    device: torch.device, rounds: int, size: str, stages: tuple[str, ...], crops: tuple[int, int]
) -> list[dict[str, Any]]:
    """Shares of each stage's step, and its multiply-accumulates against those of a large matrix product."""
    rates = {name: matrix_rate(device, dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    print(
        "multiply-accumulates a second of one product, G:", {name: f"{rate / 1e9:.0f}" for name, rate in rates.items()}
    )
    found = []
    for name in stages:
        stage = new_stage(size, name)
        step = Step(stage, Switches(), *crops, device)
        print(f"{name}, {size} size: step of {crops[0]} crops of {crops[1]}")
        seconds = in_turns({"ours": step}, rounds, device)["ours"]["best_seconds"]
        with FlopCounterMode(display=False) as counter:
            step()
        macs = counter.get_total_flops() / 2
        operators, parts = _shares(step, stage, device)
        share = macs / seconds / rates["fp32"]
        print(f"  {macs / 1e9:.0f} GMACs, {100 * share:.0f} % of the rate of one fp32 product")
        for shares in (parts, operators):
            print(
                "  " + ", ".join(f"{part} {100 * value:.1f} %" for part, value in list(shares.items())[:12]), flush=True
            )
        about = {"stage": name, "size": size, "batch": crops[0], "hr_crop": crops[1], "seconds": seconds}
        found.append(about | {"macs": macs, "share_of_matrix_rate": share, "operators": operators, "parts": parts})
    return [{"macs_per_second": rates, "stages": found}]


def _shares(step: Step, stage: Stage, device: torch.device) -> tuple[dict[str, float], dict[str, float]]:
    """Share of the time of each operator and of each part, largest first."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with ExitStack() as marks:
        _mark(stage, step, marks)
        with profile(activities=activities) as found:
            step()
    events = [event for event in found.events() or () if not on_gpu or event.self_device_time_total >= 0]
    of_sequence: dict[int, str] = {}
    for event in events:
        part = _marked(event)
        if part and event.sequence_nr >= 0:
            of_sequence.setdefault(event.sequence_nr, part)
    operators: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for event in events:
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        operators[event.name.removeprefix(MARK)] += spent
        parts[_marked(event) or of_sequence.get(_backward_of(event), "the rest")] += spent
    return _normalised(operators), _normalised(parts)


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


def _marked(event: Any) -> str | None:
    """The innermost part that an event happened in."""
    while event is not None:
        if event.name.startswith(MARK):
            return str(event.name.removeprefix(MARK))
        event = event.cpu_parent
    return None


def _backward_of(event: Any) -> int:
    """Sequence number of the forward operation that an event goes back through; -1 for none."""
    while event is not None:
        if event.name.startswith("autograd::engine::evaluate_function"):
            return int(event.sequence_nr)
        event = event.cpu_parent
    return -1


def _normalised(times: Counter[str]) -> dict[str, float]:
    total = sum(times.values()) or 1
    return {name: spent / total for name, spent in times.most_common() if spent / total >= 0.001}
