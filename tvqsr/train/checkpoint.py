"""Everything that a resumed training needs, in one file, with a guard against resuming something else."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from tvqsr.console import say
from tvqsr.contract import Stage
from tvqsr.files import read_sealed, write_sealed


class Checkpoint:
    """State of a training on disk: networks, running average, optimisers, step, curve, time spent, random state."""

    def __init__(
        self,
        folder: Path,
        key: str,
        stage: Stage,
        average: AveragedModel,
        optimisers: Mapping[str, torch.optim.Optimizer],
    ) -> None:
        self.path = folder / "checkpoint.pt"
        self.key, self.stage, self.average, self.optimisers = key, stage, average, optimisers
        self.curve: list[dict[str, float]] = []
        self.seconds = 0.0

    def save(self, step: int, seconds_of_attempt: float) -> None:
        """Write the state after `step` steps in one go."""
        state = {
            "key": self.key,
            "step": step,
            "seconds": self.seconds + seconds_of_attempt,
            "curve": self.curve,
            **self.kept(),
            "random": torch.get_rng_state(),
            # Dropout and the like draw on the device, the same in each process.
            "random_of_gpu": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }
        write_state(self.path, state)

    def kept(self) -> dict[str, Any]:
        """State dicts of networks, running average and optimisers, as they stand."""
        return {
            "networks": self.stage.networks.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {player: optimiser.state_dict() for player, optimiser in self.optimisers.items()},
        }

    def load(self, device: torch.device) -> int:
        """Restore the state and return the number of steps done.

        0 if there is none, it is damaged, or it is of other settings, data or code.
        """
        state = read_state(self.path, device)
        if state is None:
            return 0
        if state["key"] != self.key:
            say(f"{self.path}: is of other settings, data or code; starting afresh")
            return 0
        self.stage.networks.load_state_dict(state["networks"])
        self.average.load_state_dict(state["average"])
        for player, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][player])
        self.curve, self.seconds = state["curve"], state["seconds"]
        torch.set_rng_state(state["random"].cpu())
        if torch.cuda.is_available() and state["random_of_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_of_gpu"].cpu())
        return int(state["step"])


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what a checkpoint holds, in one go."""
    content = io.BytesIO()
    torch.save(state, content)
    write_sealed(path, content.getbuffer())


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """What a checkpoint holds; None where there is none, or where it is damaged, which is said."""
    if not path.is_file():
        return None
    content = read_sealed(path)
    if content is None:
        say(f"{path}: damaged checkpoint ignored, starting afresh")
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state


class Interruption:
    """While active, Ctrl-C and SIGTERM do not kill but ask: the loop finishes its step, saves, and stops."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = 0
        """The signal that came; 0 for none."""
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in self.SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self.SIGNALS:
            signal.signal(number, self._before[number])  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
