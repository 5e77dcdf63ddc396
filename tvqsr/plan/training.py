"""What every training run is told beside its method's own settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tvqsr.plan.schema import Number, Strict, tuple_of

PositiveInt = Annotated[int, Field(gt=0)]
Rate = Annotated[Number, Field(gt=0)]


class Training(Strict):
    """Budget, data crops and optimisation of one stage. All of it is part of the run's digest."""

    iterations: PositiveInt
    """Optimiser steps of the generator."""
    batch_size: PositiveInt
    """Crops per step, over all devices."""
    hr_crop: PositiveInt
    """Side of the square HR crop, in pixels; the LR crop is this divided by the scale."""
    learning_rate: Rate
    betas: Annotated[tuple[Number, Number], BeforeValidator(tuple_of)]
    """Adam's, for generator and discriminator alike."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the run: as given, or falling to zero along half a cosine."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises from zero."""
    clip_norm: Annotated[Number, Field(ge=0)] = 0.0
    """Largest norm of a player's gradient; 0 does not clip."""
    ema: Annotated[Number, Field(ge=0, lt=1)]
    """Decay of the running average of the weights, which is what is saved; 0 saves the last weights."""
    augment: Literal["none", "flip", "dihedral"] = "flip"
    """Left-right flips, or all eight flips and quarter turns."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Lightning Fabric's name of the networks' precision; quantisers and losses are always fp32."""

    @model_validator(mode="after")
    def _check(self) -> Training:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas: two numbers in [0, 1) expected")
        return self
