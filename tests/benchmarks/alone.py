"""A function in a process of its own: nothing that this one holds is there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")


def alone(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns that a new Python calls; function, arguments and result are pickled.

    Raises what the function raises, and BrokenProcessPool if the process dies.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
