"""What was drawn for an image as JSON, and back: enough to degrade it again."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter

from tvqsr.data.degrade.chain import Blur, Chain, Halve, Jpeg, MixedNoise, PhotonNoise, Step, Subsample, ToLr
from tvqsr.data.degrade.parameters import Parameters, Resize
from tvqsr.data.degrade.pipeline import Drawn

STEPS: dict[str, type[Step]] = {
    "blur": Blur,
    "halve": Halve,
    "resize": Resize,
    "subsample": Subsample,
    "to_lr": ToLr,
    "gaussian_noise": MixedNoise,
    "photon_noise": PhotonNoise,
    "jpeg": Jpeg,
}
_NAMES = {kind: name for name, kind in STEPS.items()}
_PARAMETERS: TypeAdapter[Any] = TypeAdapter(Parameters)
_STEPS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in STEPS.items()}


def as_json(drawn: Drawn) -> dict[str, Any]:
    """Fields by name, with the units of `Parameters`; of a chain its `steps` in order, each with its `step` (kind)."""
    if isinstance(drawn, Chain):
        steps = [{"step": _NAMES[type(step)], **dataclasses.asdict(step)} for step in drawn.steps]
        return {"steps": steps, "noise_seed": drawn.noise_seed}
    return dataclasses.asdict(drawn)


def from_json(logged: dict[str, Any]) -> Drawn:
    """The inverse of `as_json`, after JSON (lists for tuples). Raises pydantic.ValidationError for anything else."""
    if "steps" not in logged:
        parameters: Parameters = _PARAMETERS.validate_python(logged)
        return parameters
    steps = tuple(_step(**step) for step in logged["steps"])
    return Chain(steps, logged["noise_seed"])


def _step(step: str, **fields: Any) -> Step:
    drawn: Step = _STEPS[step].validate_python(fields)
    return drawn
