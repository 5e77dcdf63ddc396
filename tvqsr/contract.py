"""What a method's `plugin.py` gives the suite: `stage(...)` to train with and `upscaler(...)` to make images with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from tvqsr.data.crops import Batch
from tvqsr.errors import UserError

Terms = dict[str, Tensor]
"""Named scalar losses, already weighted: their sum is minimised."""


class Stage(nn.Module):
    """One training run. Loop, precision, running average, logging, checkpoints, devices and seeds are not its business.

    `networks` is what is saved. `players` says who moves which of them, in the order in which they move; the first is
    the generator, whose networks are saved as their running average. Frozen networks are plain attributes, never in
    `networks`.
    """

    def __init__(self, networks: Mapping[str, nn.Module], players: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(dict(networks))
        self.players = dict(players)
        # In a list, so that it is no part of the stage: it is neither trained nor saved with it.
        self.averaged: list[nn.ModuleDict] = []
        """The running average of the generator's networks, once a training has begun; for losses that look at it."""

    @property
    def generator(self) -> str:
        """Name of the first player."""
        return next(iter(self.players))

    def moved_by(self, player: str) -> nn.ModuleDict:
        """Networks that a player moves."""
        return nn.ModuleDict({name: self.networks[name] for name in self.players[player]})

    @abstractmethod
    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        """Loss terms of a player for a batch (HR and LR in [0, 1]) at a step, counted from 0.

        Without terms it sits the step out.
        """

    def forward(self, player: str, batch: Batch, step: int) -> Terms:
        return self.losses(player, batch, step)


@dataclass(frozen=True)
class Codebook:
    """One of the codebooks that a method decodes."""

    size: int
    """Number of codes."""
    stride: int = 8
    """HR pixels per code position, along each side."""


Indices = tuple[Tensor, ...]
"""Code indices, one (B, H / stride, W / stride) int64 for each codebook."""


class Upscaler(nn.Module):
    """Networks in inference: LR (B, 3, h, w) in [0, 1] -> SR (B, 3, 4h, 4w) in [0, 1].

    Of a stage that trains on HR alone: HR -> HR of the same size.
    Images come with sides padded to multiples of `multiple` (of the input's pixels).
    """

    multiple: int = 1
    codebooks: tuple[Codebook, ...] = ()
    """For a method that has them; several for residual, grouped or hierarchical codes, which add up to one image."""
    about: Mapping[str, str] = {}
    """What a reader should know of weights that were given: architecture, library, ...; told beside the images."""

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor: ...

    def codes(self, image: Tensor) -> Indices:
        """Indices that `forward` decodes for this input. Only asked of a method with codebooks."""
        raise UserError(f"{type(self).__name__} sets codebooks but has no codes(); write it in plugin.py")

    def code_vectors(self, indices: Indices) -> Tensor | None:
        """What the decoder is given for indices: (B, D, h, w), at the finest stride.

        For the redundancy of a tokenizer's codes (`tvqsr/upscale/redundancy.py`), on the device of the indices.
        None where that is not to be measured.
        """
        return None

    def carried_along(self) -> list[nn.Module]:
        """Modules that the authors' model carries and counts among its parameters, though inference needs none."""
        return []

    def codes_of_hr(self, hr: Tensor) -> Indices | None:
        """Indices that the tokenizer gives HR, for index accuracy; None where there is nothing to compare with."""
        return None


@dataclass(frozen=True)
class Trained:
    """A finished run: its stage, settings, weights by name (`network.parameter`), and the runs that it needed.

    The latter go by the names in `method.yaml`.
    """

    stage: str
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    needs: Mapping[str, Trained]

    def holds(self, network: str) -> bool:
        """Whether weights of that network were saved."""
        return any(key.startswith(f"{network}.") for key in self.weights)

    def load(self, network: str, module: nn.Module) -> None:
        """Fill a module with the weights saved under a network's name.

        Raises UserError naming the first key that does not fit.
        """
        prefix = f"{network}."
        found = {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}
        expected = module.state_dict()
        for key, value in expected.items():
            if key not in found:
                raise UserError(
                    f"weights of stage `{self.stage}`: no `{prefix}{key}`; "
                    f"they belong to another configuration, train again"
                )
            if found[key].shape != value.shape:
                shapes = f"{tuple(found[key].shape)} instead of {tuple(value.shape)}"
                raise UserError(
                    f"weights of stage `{self.stage}`: `{prefix}{key}` is {shapes}; "
                    f"they belong to another configuration, train again"
                )
        if unknown := sorted(set(found) - set(expected)):
            raise UserError(
                f"weights of stage `{self.stage}`: `{prefix}{unknown[0]}` is not in the network; "
                f"they belong to another configuration"
            )
        module.load_state_dict(found)


class Plugin(Protocol):
    """A method's `plugin.py`."""

    def stage(self, name: str, settings: Mapping[str, Any], needs: Mapping[str, Trained]) -> Stage:
        """The networks and losses of one stage; `needs` are the finished runs that `method.yaml` names."""

    def upscaler(self, trained: Trained | None) -> Upscaler:
        """The method in inference, from the run of a stage that makes images; None for a method without stages.

        Raises UserError for a stage that is only there for another and makes none.
        """

    def released(self, run: Trained, checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights (`network.parameter`) of a run from the authors' checkpoint, a flat mapping of their names.

        `run` is the run to be filled, without weights, like those that it needs. Only asked of a method one of whose
        stages has `released` in method.yaml. Raises UserError naming the first key that does not fit.
        """

    def given_upscaler(self, checkpoint: Path) -> Upscaler:
        """The method in inference with somebody's checkpoint. Only asked of a method with `given: checkpoint`.

        Nothing in the file may be executed. Raises UserError naming the file if it is missing or does not serve.
        """

    def given_images(self, folder: Path, names: Sequence[str]) -> Mapping[str, Path]:
        """File of each test image, by name, in a folder of somebody's finished outputs.

        Only asked of a method with `given: images`; the suite reads, checks and copies them. Raises UserError naming
        the first image that has no file there.
        """
