"""How far a download is: one plain line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from tvqsr.console import duration

EVERY = 5.0
"""Seconds between two lines."""
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))


def size(count: float) -> str:
    """`3530603713` -> `3.53 GB`."""
    unit, per = _unit(count)
    return f"{_digits(count / per)} {unit}"


def line(name: str, done: int, total: int | None, rate: float) -> str:
    """One line: `a.zip  1.21/3.53 GB  34 %  11.2 MB/s  left 3:27`; `rate` is in bytes per second."""
    if total is None:
        return f"{name}  {size(done)}  {size(rate)}/s"
    unit, per = _unit(total)
    left = f"  left {duration((total - done) / rate)}" if rate > 0 else ""
    share = 100 * done // total if total else 100
    return f"{name}  {_digits(done / per)}/{_digits(total / per)} {unit}  {share} %  {size(rate)}/s{left}"


class Progress:
    """Reports on a download that starts with `start` of `total` bytes."""

    def __init__(
        self,
        name: str,
        start: int,
        total: int | None,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.start, self.total, self.report, self.clock = name, start, total, report, clock
        self.began = self.shown = clock()

    def show(self, done: int) -> None:
        """Report, if the last line is old enough."""
        now = self.clock()
        if now - self.shown >= EVERY:
            self.shown = now
            self.report(line(self.name, done, self.total, (done - self.start) / (now - self.began)))


class Steps:
    """Reports on work in steps of about equal length: `DIV2K.zip: unpacked 120/800  left 1:10`."""

    def __init__(
        self, label: str, total: int, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label, self.total, self.report, self.clock = label, total, report, clock
        self.count, self.began = 0, clock()
        self.shown = self.began

    def done(self) -> None:
        """Count a step; report, if the last line is old enough."""
        self.count += 1
        now = self.clock()
        if now - self.shown >= EVERY:
            self.shown = now
            left = (self.total - self.count) * (now - self.began) / self.count
            self.report(f"{self.label} {self.count}/{self.total}  left {duration(left)}")


def _unit(count: float) -> tuple[str, float]:
    return next((unit for unit in UNITS if count >= unit[1]), UNITS[-1])


def _digits(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
