"""What the user sees while a step works: plain lines on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress


def say(message: str) -> None:
    """Print one line on stderr at once. Where processes share a job, the first one speaks for all."""
    if not is_helper():
        say_oneself(message)


def say_oneself(message: str) -> None:
    """Print one line on stderr at once, whichever process this is.

    Where nobody reads it any more, the work goes on: a cluster's SIGTERM ends `tee` before the training that saves.
    """
    with suppress(BrokenPipeError):
        print(message, file=sys.stderr, flush=True)


def is_helper() -> bool:
    """Whether this process only helps another with a training that is spread over several (Lightning Fabric's name)."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


def duration(seconds: float) -> str:
    """`75` -> `1:15`; `3700` -> `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Progress of a training: iteration, losses, images per second, time left; at most one line per `every` seconds."""

    def __init__(self, label: str, total: int, start: int, every: float) -> None:
        self.label, self.total, self.every = label, total, every
        self.start, self.started, self.shown = start, time.perf_counter(), 0.0
        say(f"[{label}] {'resuming at' if start else 'starting at'} {start}/{total}")

    def show(self, done: int, losses: Mapping[str, float], batch_size: int) -> None:
        """Print a line if it is time, and always at the end; `batch_size` is that of the last step."""
        now = time.perf_counter()
        if done < self.total and now - self.shown < self.every:
            return
        self.shown = now
        rate = (done - self.start) / (now - self.started)
        shown = "  ".join(f"{name.split('/')[-1]} {value:.4f}" for name, value in losses.items() if name != "step")
        say(
            f"[{self.label}] {done}/{self.total}  {shown}  {rate * batch_size:.1f} images/s  "
            f"left {duration((self.total - done) / rate)}"
        )
