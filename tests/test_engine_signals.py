"""A handler that wants a lock of the main thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tvqsr.engine_signals import heed_beside


@pytest.fixture
def lock() -> Iterator[threading.Lock]:
    """One that the handler of SIGUSR1 takes, as Snakemake's handler of SIGTERM takes its scheduler's."""
    lock, before = threading.Lock(), signal.getsignal(signal.SIGUSR1)
    yield lock
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_comes_while_the_lock_is_held_is_heeded_once_it_is_free(lock: threading.Lock) -> None:
    heeded = threading.Event()

    def handler(*_: object) -> None:
        if lock.acquire(timeout=60):
            heeded.set()

    signal.signal(signal.SIGUSR1, handler)
    heed_beside(signal.SIGUSR1)
    with lock:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not heeded.wait(0.2)
    assert heeded.wait(30)


def test_a_signal_that_nobody_handles_stays_so(lock: threading.Lock) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    heed_beside(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
