"""What every training run is told beside its method's own settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tvqsr.plan.degradation import RandomDegradation
from tvqsr.plan.schema import Number, Strict, tuple_of

PositiveInt = Annotated[int, Field(gt=0)]
Rate = Annotated[Number, Field(gt=0)]


class LastPhase(Strict):
    """A closing phase of a training on crops of another size."""

    iterations: PositiveInt
    batch_size: PositiveInt
    hr_crop: PositiveInt


class Training(Strict):
    """Budget, data crops and optimisation of one stage. All of it is part of the run's digest."""

    iterations: PositiveInt
    """Optimiser steps of the generator, before `last_phase`."""
    batch_size: PositiveInt
    """Crops per step, over all devices."""
    hr_crop: PositiveInt
    """Side of the square HR crop, in pixels; the LR crop is this divided by the scale."""
    last_phase: LastPhase | None = None
    """Further iterations after `iterations`, on larger crops, say; schedule and optimiser run on."""
    crop: Literal["cut", "resized", "rescaled"] = "cut"
    """Crops cut from the photo as it is; or the largest square of it (a random one) area-resized to `hr_crop`; or cut
    from a square of up to twice `hr_crop` that was resized to a random side between the two (FeMaSR)."""
    degradation: Literal["prepared", RandomDegradation] = "prepared"
    """LR as the training set was prepared with, or made anew for every crop."""
    learning_rate: Rate
    betas: Annotated[tuple[Number, Number], BeforeValidator(tuple_of)]
    """Adam's, for generator and discriminator alike."""
    discriminator_learning_rate: Rate | None = None
    """The discriminator's, where it is not the generator's."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the run: as given, or falling to zero along half a cosine."""
    halve_at: Annotated[tuple[PositiveInt, ...], BeforeValidator(tuple_of)] = ()
    """Steps after which the learning rate is half of what it was."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises from zero."""
    clip_norm: Annotated[Number, Field(ge=0)] = 0.0
    """Largest norm of a player's gradient; 0 does not clip."""
    ema: Annotated[Number, Field(ge=0, lt=1)]
    """Decay of the running average of the weights, which is what is saved; 0 saves the last weights."""
    augment: Literal["none", "flip", "dihedral"] = "flip"
    """Left-right flips, or all eight flips and quarter turns."""
    precision: Literal["32-true", "tf32", "bf16-mixed"] = "32-true"
    """Of the networks; quantisers and losses are always fp32. `32-true` and `bf16-mixed` are Lightning Fabric's names.

    On GPUs that have TF32, convolutions use it in fp32, too, as torch does unless told otherwise (and the authors did);
    `tf32` extends that to matrix products.
    """

    @model_validator(mode="after")
    def _check(self) -> Training:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas: two numbers in [0, 1) expected")
        if self.crop != "cut" and self.degradation == "prepared":
            raise ValueError(f"crop: `{self.crop}` needs a degradation made in training (`degradation: realesrgan`)")
        return self

    @property
    def network_precision(self) -> Literal["32-true", "bf16-mixed"]:
        """Lightning Fabric's name of it, which knows nothing of TF32."""
        return "32-true" if self.precision == "tf32" else self.precision

    @property
    def steps(self) -> int:
        """Optimiser steps of the generator, the last phase's included."""
        return self.iterations + (self.last_phase.iterations if self.last_phase else 0)

    @property
    def images(self) -> int:
        """Crops seen in all steps."""
        last = self.last_phase.iterations * self.last_phase.batch_size if self.last_phase else 0
        return self.iterations * self.batch_size + last

    @property
    def pixels(self) -> int:
        """HR pixels seen in all steps: what a training's cost is in proportion to."""
        last = self.last_phase
        phases = [(self.iterations, self.batch_size, self.hr_crop)]
        phases += [(last.iterations, last.batch_size, last.hr_crop)] if last else []
        return sum(steps * size * side**2 for steps, size, side in phases)

    def crops_at(self, step: int) -> tuple[int, int]:
        """Batch size and side of the HR crop at a step."""
        if self.last_phase and step >= self.iterations:
            return self.last_phase.batch_size, self.last_phase.hr_crop
        return self.batch_size, self.hr_crop
