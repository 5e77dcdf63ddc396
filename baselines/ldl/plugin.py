"""LDL: ESRGAN and a loss on artifacts, weighed by the generator's own running average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvqsr.contract import Stage, Trained, Upscaler
from tvqsr.nn.rrdb_gan import GanSettings, GanStage
from tvqsr.nn.rrdb_inference import SuperResolution, generator_of


def stage(name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
    return GanStage(GanSettings(**settings), generator_of(needs["rrdb.psnr"]))


def upscaler(trained: Trained | None) -> Upscaler:
    assert trained is not None
    return SuperResolution(generator_of(trained))
