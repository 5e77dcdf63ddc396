"""Work done ahead by threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`function` of each item, in the order of the items; never more than `workers` results wait to be taken.

    With 0 workers the caller does the work itself. What `function` raises is raised where its result would have come.
    """
    if workers == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    coming = iter(items)
    try:
        waiting.extend(pool.submit(function, item) for item in islice(coming, workers))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(coming, 1))
            yield result
            del result
    finally:
        pool.shutdown(cancel_futures=True)
