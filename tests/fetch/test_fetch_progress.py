"""What is said of a download under way, and when it is given up as too slow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvqsr.fetch.faults import PassingError, RefusedError
from tvqsr.fetch.progress import Progress, Steps, line, size
from tvqsr.fetch.retry import Pace, Patience, persist


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_line_of_a_download() -> None:
    shown = line("DIV2K_train_HR.zip", 1_210_000_000, 3_530_603_713, 11_210_000)
    assert shown == "DIV2K_train_HR.zip  1.21/3.53 GB  34 %  11.2 MB/s  left 3:27"
    assert line("a.zip", 30_000_000, None, 500) == "a.zip  30.0 MB  500.0 B/s"
    assert line("a.zip", 0, 2000, 0) == "a.zip  0.00/2.00 kB  0 %  0.00 B/s"
    assert [size(count) for count in (0, 999, 1000, 31_505_881)] == ["0.00 B", "999.0 B", "1.00 kB", "31.5 MB"]


def test_a_line_every_few_seconds_with_the_speed_of_this_attempt() -> None:
    clock, said = Clock(), list[str]()
    progress = Progress("a.zip", 4_000_000, 10_000_000, said.append, clock)
    for second in range(1, 13):
        clock.now += 1
        progress.show(4_000_000 + second * 100_000)
    assert said == [
        "a.zip  4.50/10.0 MB  45 %  100.0 kB/s  left 0:55",
        "a.zip  5.00/10.0 MB  50 %  100.0 kB/s  left 0:50",
    ]


def test_steps_tell_how_many_are_left() -> None:
    clock, said = Clock(), list[str]()
    steps = Steps("a.zip: unpacked", 20, said.append, clock)
    for _ in range(7):
        clock.now += 1
        steps.done()
    assert said == ["a.zip: unpacked 5/20  left 0:15"]


def test_a_drip_ends_with_its_window_and_a_steady_flow_never() -> None:
    patience, clock = Patience(slowest=1000, window=60), Clock()
    pace = Pace(patience, clock)
    for _ in range(200):
        clock.now += 1
        pace.add(1001)
    with pytest.raises(PassingError, match=r"only \d+ bytes came in 60 s"):
        for _ in range(120):
            clock.now += 1
            pace.add(999)
    assert clock.now < 1000 + 200 + 120


def test_waits_begin_anew_after_a_gain() -> None:
    slept: list[float] = []
    here = [0]
    patience = replace(Patience(), waits=(1, 5), gain=10, sleep=slept.append)

    def attempt() -> str:
        here[0] += 10 if len(slept) == 1 else 4
        raise PassingError("cut")

    with pytest.raises(RefusedError, match="cut; tried 3 times"):
        persist(attempt, lambda: here[0], patience, lambda _: None)
    # 4: first wait. 14: a gain, first wait again. 18: second. 22 is under 24: used up.
    assert slept == [1, 1, 5]
