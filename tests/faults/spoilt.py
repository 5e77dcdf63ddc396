"""A training whose losses are spoilt at a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import Command
from tests.untrained import run_of
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.method import Method
from tvqsr.plan.stored import record
from tvqsr.plugins import load_plugin

Spoil = Callable[[Stage, Callable[[], Terms]], Terms]
"""What a step does instead of the losses that it is given to compute."""


@pytest.fixture
def spoilt(
    preset: Callable[..., Path], tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, Spoil], tuple[Plan, str]]:
    """A plan and its run of a tokenizer whose generator's losses are spoilt at a step, counted from 0; prepared."""

    def make(at: int, spoil: Spoil) -> tuple[Plan, str]:
        def change(content: dict[str, Any]) -> None:
            content["training"] |= {"iterations": 16, "batch_size": 1, "hr_crop": 32}
            content["runtime"]["checkpoint_seconds"] = 1e-6

        def load(method: Method) -> Any:
            plugin = load_plugin(method)

            def stage(*arguments: Any) -> Stage:
                made = plugin.stage(*arguments)
                losses = made.losses

                def wrapped(player: str, batch: Batch, step: int) -> Terms:
                    compute = partial(losses, player, batch, step)
                    return spoil(made, compute) if step == at and player == made.generator else compute()

                monkeypatch.setattr(made, "losses", wrapped)
                return made

            return SimpleNamespace(stage=stage)

        monkeypatch.setattr("tvqsr.train.job.load_plugin", load)
        plan = Plan.load(str(preset(change)))
        write_json(plan.paths.record, record(plan))
        assert tvqsr("prepare", plan.paths.root, "photos_train").returncode == 0
        return plan, run_of(plan, "vq", "tokenizer").name

    return make


def a_term(_: Stage, compute: Callable[[], Terms]) -> Terms:
    terms = compute()
    return terms | {"pixel": terms["pixel"] * float("nan")}
