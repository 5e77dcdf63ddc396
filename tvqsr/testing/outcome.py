"""What a check is, and what comes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tvqsr.errors import UserError

if TYPE_CHECKING:
    from tvqsr.testing.candidate import Candidate

Status = Literal["ok", "failed", "skipped"]


class FailureError(Exception):
    """A method does not do what a check asks: where (file, key or function), what was expected, what was found."""


class NotApplicableError(Exception):
    """A check has nothing to look at in this method; the message says why."""


@dataclass(frozen=True)
class Check:
    """A question to a method: `ask` returns if the answer is yes, and raises one of the two errors above if not."""

    name: str
    after: tuple[str, ...]
    """Checks without which this one means nothing; where one of them failed, this one is skipped."""
    ask: Callable[[Candidate], None]

    @property
    def sentence(self) -> str:
        """What is true of a method that passes: the first line of the function's docstring."""
        return (self.ask.__doc__ or "").strip().splitlines()[0].rstrip(".")


@dataclass(frozen=True)
class Outcome:
    """Result of one check. `detail` says what failed and what to change, or why the check was skipped."""

    check: str
    sentence: str
    status: Status
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line for people."""
        word = "FAILED" if self.status == "failed" else self.status
        return f"{word:<8} {self.check:<12} {self.detail or self.sentence}"


def told(error: Exception, folder: Path) -> str:
    """An error in one line, with the last place in a method's own folder that it passed through."""
    if isinstance(error, UserError | FailureError):
        return " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    frame = (own or frames)[-1]
    first_line = next(iter(str(error).splitlines()), "")
    return f"{frame.filename}:{frame.lineno}, in {frame.name}: {type(error).__name__}: {first_line}"
