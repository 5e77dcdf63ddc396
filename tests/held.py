"""What holds memory, for processes that are to import little."""

from __future__ import annotations

import os
from typing import NoReturn


class Held:
    """Holds so many MiB, and for the time of each call so many more."""

    def __init__(self, own: int, more: int) -> None:
        self.own, self.more = b"x" * (own << 20), more

    def __call__(self) -> int:
        return len(b"y" * (self.more << 20))


class Fatal:
    """Ends the process that unpickles it, as the kernel does for want of memory: with no word."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)

    def __call__(self) -> NoReturn:
        raise AssertionError("the process that was to call it has ended before")
