"""Trying again: how often, after how long, and what counts as getting on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tvqsr.console import duration
from tvqsr.fetch.faults import PassingError, RefusedError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server; times in seconds."""

    waits: tuple[float, ...] = (1, 4, 15, 60)
    """Before the second, third, ... attempt; without jitter, since one user is no crowd."""
    longest_wait: float = 300
    """A server that asks for more (Retry-After) is left alone."""
    connect: float = 20
    read: float = 60
    """Silence that ends an attempt."""
    slowest: float = 1000
    """Bytes per second below which, over `window` seconds, an attempt is given up."""
    window: float = 60
    redirects: int = 10
    gain: int = 1 << 20
    """Bytes beyond the furthest so far after which the waits begin anew: a large file may be cut many times."""
    sleep: Callable[[float], None] = time.sleep


def persist(
    attempt: Callable[[], Result],
    reached: Callable[[], int],
    patience: Patience,
    report: Callable[[str], None],
) -> Result:
    """The result of the first attempt that succeeds; `reached` tells how many bytes are here.

    Raises RefusedError where an attempt does, or once the waits are used up.
    """
    furthest, failures = reached(), 0
    while True:
        try:
            return attempt()
        except PassingError as fault:
            if reached() >= furthest + patience.gain:
                furthest, failures = reached(), 0
            if failures == len(patience.waits):
                raise RefusedError(f"{fault}; tried {failures + 1} times") from None
            wait = _wait(fault, patience.waits[failures], patience.longest_wait)
            failures += 1
            report(f"{fault}; trying again in {wait:g} s")
            patience.sleep(wait)


def _wait(fault: PassingError, planned: float, longest: float) -> float:
    if fault.after is not None and fault.after > longest:
        raise RefusedError(f"{fault}; asks to come back in {duration(fault.after)}") from None
    return max(planned, fault.after or 0.0)


class Pace:
    """Watches that bytes come fast enough; `clock` is in seconds."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience, self.clock = patience, clock
        self.since, self.bytes = clock(), 0

    def add(self, count: int) -> None:
        """Count bytes that came. Raises PassingError at the end of a window in which too few did."""
        self.bytes += count
        passed = self.clock() - self.since
        if passed < self.patience.window:
            return
        if self.bytes < self.patience.slowest * passed:
            raise PassingError(f"only {self.bytes} bytes came in {passed:.0f} s")
        self.since, self.bytes = self.clock(), 0
