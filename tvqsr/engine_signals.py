"""A signal that comes while Snakemake's main thread holds the lock that the signal's handler wants."""

from __future__ import annotations

import _thread
import signal


def heed_beside(number: int) -> None:
    """Let a thread of its own do what the handler of a signal does: it may wait for what the main thread holds.

    Snakemake's handler of SIGTERM takes the scheduler's lock. Where the signal came while the main thread had it, in
    between two jobs, both waited for ever (seen with 9.27.1).
    """
    handler = signal.getsignal(number)
    if callable(handler):
        # Not `threading.Thread`, whose start takes locks that the main thread may hold.
        signal.signal(number, lambda *given: _thread.start_new_thread(handler, given))
