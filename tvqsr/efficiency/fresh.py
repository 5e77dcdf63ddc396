"""A method with fresh weights at its published size: what can be counted before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from torch import Tensor

from tvqsr.contract import Stage, Trained
from tvqsr.errors import UserError
from tvqsr.plan import Run
from tvqsr.plan.method import Method, StageSpec, Value, load_method
from tvqsr.plan.schema import suggestion
from tvqsr.plugins import load_plugin

WITHOUT_WEIGHTS: Mapping[str, Value] = {"perceptual": "none", "semantic_weight": 0.0}
"""Settings whose networks would fetch weights, at the values that do without: the losses are no part of a method."""


def fresh_run(run: Run, perceptual: bool = False) -> tuple[Trained, dict[str, Stage]]:
    """A run of a plan, never trained, and its stages by name: what is counted and timed does not depend on weights.

    Only with `perceptual` do its losses get their perceptual networks, with fresh weights like everything else.
    """
    stages: dict[str, Stage] = {}
    needs = {}
    for name, need in run.needs.items():
        needs[name], below = fresh_run(need)
        stages |= below
    without = {} if perceptual else WITHOUT_WEIGHTS
    settings = {name: without.get(name, value) for name, value in run.settings.items()}
    with _untrained_losses():
        stages[run.name] = built = load_plugin(run.method).stage(run.stage, settings, needs)
    return Trained(run.stage, settings, _weights(built), needs), stages


@contextmanager
def _untrained_losses() -> Iterator[None]:
    """Let LPIPS and VGG19 be built without the weights that they would fetch: they cost as much whatever they are."""
    import lpips
    from torchvision.models import vgg19

    untrained = partial(lpips.LPIPS, pretrained=False, pnet_rand=True)
    with patch("lpips.LPIPS", untrained), patch("torchvision.models.vgg19", lambda **_: vgg19(weights=None)):
        yield


def _weights(stage: Stage) -> dict[str, Tensor]:
    return {
        f"{network}.{name}": value
        for network, module in stage.networks.items()
        for name, value in module.state_dict().items()
    }


class FreshStages:
    """Stages as `method.yaml` publishes them, but for `changes`, which every stage takes that has such a setting.

    Each is built once and kept in `stages`, by `method.stage`.
    """

    def __init__(self, changes: Mapping[str, Any]) -> None:
        self.changes = changes
        self.stages: dict[str, Stage] = {}
        self._trained: dict[str, Trained] = {}
        self._taken: set[str] = set()

    def build(self, method: Method, stage: str, perceptual: bool = False) -> Trained:
        """A run that was never trained, with those it needs.

        Only with `perceptual` do its losses get their perceptual network, with fresh weights like everything else.
        Raises UserError for an unknown stage or a wrong value.
        """
        key = f"{method.name}.{stage}"
        if key not in self._trained:
            if stage not in method.spec.stages:
                raise UserError(
                    f"--stage {stage}: `{method.name}` has no such stage{suggestion(stage, method.spec.stages)}"
                )
            spec = method.spec.stages[stage]
            needs = {need: self._need(method, need) for need in spec.needs}
            settings = self._settings(spec, perceptual)
            with _untrained_losses():
                self.stages[key] = built = load_plugin(method).stage(stage, settings, needs)
            self._trained[key] = Trained(stage, settings, _weights(built), needs)
        return self._trained[key]

    def check_all_taken(self) -> None:
        """Refuse a change that no stage built so far has a setting for."""
        if unknown := sorted(set(self.changes) - self._taken):
            raise UserError(f"--set {unknown[0]}: no stage of {', '.join(self.stages)} has such a setting")

    def _need(self, method: Method, need: str) -> Trained:
        other, _, stage = need.rpartition(".")
        return self.build(load_method(other, str(method.folder / "method.yaml")) if other else method, stage)

    def _settings(self, spec: StageSpec, perceptual: bool) -> dict[str, Value]:
        values = {name: setting.default for name, setting in spec.settings.items()}
        if not perceptual:
            values = {name: WITHOUT_WEIGHTS.get(name, value) for name, value in values.items()}
        for name, value in self.changes.items():
            if name in spec.settings:
                values[name] = spec.settings[name].check(value, f"--set {name}")
                self._taken.add(name)
        return values
