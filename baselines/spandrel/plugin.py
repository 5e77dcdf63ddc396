"""Checkpoints of other people's, recognised and run by spandrel (https://github.com/chaiNNer-org/spandrel, MIT)."""

from __future__ import annotations

from pathlib import Path

import spandrel
import torch
from torch import Tensor, nn

from tvqsr.contract import Upscaler
from tvqsr.errors import UserError
from tvqsr.nn.safe_load import read_safely

SCALE, CHANNELS = 4, 3
UNFIT = (RuntimeError, KeyError, IndexError, ValueError, TypeError, AttributeError, AssertionError, ZeroDivisionError)
"""What spandrel's architectures raise for a checkpoint that looks like theirs and is not."""


class Checkpoint(Upscaler):
    """A recognised network: LR (B, 3, h, w) in [0, 1] -> SR (B, 3, 4h, 4w) in [0, 1], sides of any length."""

    def __init__(self, descriptor: spandrel.ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.descriptor = descriptor
        # A module of ours, so that it is moved and counted; the descriptor, which is none, calls the same one.
        self.network = descriptor.model
        self.about = {
            "architecture": descriptor.architecture.name,
            "variant": ", ".join(descriptor.tags),
            "library": f"spandrel {spandrel.__version__}",
        }

    def forward(self, image: Tensor) -> Tensor:
        # One by one: spandrel promises nothing for batches.
        return torch.cat([self._one(single) for single in image.split(1)])

    def _one(self, image: Tensor) -> Tensor:
        """Padded as the architecture needs, cut and clamped by spandrel; what noise it draws does not vary."""
        with torch.random.fork_rng([image.device] if image.is_cuda else []):
            torch.manual_seed(0)
            return self.descriptor(image)


def given_upscaler(checkpoint: Path) -> Checkpoint:
    """The network of a checkpoint. Raises UserError naming the file if it is missing or is not compared here."""
    if not checkpoint.is_file():
        raise UserError(
            f"{checkpoint}: no such file; get the checkpoint from its authors and put it there, or change `given`"
        )
    try:
        return Checkpoint(_recognised(read_safely(checkpoint)))
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from None


def _recognised(content: object) -> spandrel.ImageModelDescriptor[nn.Module]:
    """The x4 RGB super-resolution network that a checkpoint's content is of; UserError says why it is none."""
    if not isinstance(content, dict):
        raise UserError("expected weights by name; give the checkpoint of a network")
    try:
        found = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(content))
    except spandrel.UnsupportedModelError:
        raise UserError(
            "spandrel recognises no architecture in it; give the generator's weights, as its authors released them"
        ) from None
    except UNFIT as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"looks like a network that spandrel knows but does not fit it ({why[:160]})") from None
    if not isinstance(found, spandrel.ImageModelDescriptor) or found.purpose != "SR":
        raise UserError(
            f"is {found.architecture.name}, of {found.purpose}; give a checkpoint of x{SCALE} super-resolution"
        )
    if found.scale != SCALE:
        raise UserError(f"is a x{found.scale} network ({found.architecture.name}); give one of x{SCALE}")
    if (found.input_channels, found.output_channels) != (CHANNELS, CHANNELS):
        channels = f"{found.input_channels} channels in and {found.output_channels} out"
        raise UserError(f"has {channels} ({found.architecture.name}); give one of RGB, {CHANNELS} in and out")
    return found
