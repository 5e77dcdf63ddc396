"""Trainings on a small prepared set, of whose crops tests ask."""

from __future__ import annotations

from typing import Any

from tvqsr.plan.training import Training


def training(side: int, batch: int, augment: str = "none", **more: Any) -> Training:
    common = {"iterations": 10, "learning_rate": 0.1, "betas": (0.9, 0.99), "ema": 0.5}
    return Training.model_validate({**common, "hr_crop": side, "batch_size": batch, "augment": augment, **more})
