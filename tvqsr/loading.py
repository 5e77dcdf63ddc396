"""What reading a file of weights raises where it is not what it should be, and how that is told."""

from __future__ import annotations

from pickle import UnpicklingError

from tvqsr.shortage import is_out_of_memory

NOT_LOADED = (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError)
"""By torch, and by libraries that load their own networks."""


def why_not_loaded(error: BaseException) -> str:
    """In a few words. Torch's own would advise to run what is in the file.

    Raises the error itself where memory ran out: that is not the file's fault.
    """
    if is_out_of_memory(error):
        raise error
    if isinstance(error, UnpicklingError):
        return "it holds more than tensors, or is damaged; nothing in it was run"
    return " ".join(str(error).split())[:120] or type(error).__name__
