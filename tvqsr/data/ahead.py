"""Work done ahead by threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`function` of each item, in the order of the items; never more than `workers` results wait to be taken.

    With 0 workers the caller does the work itself. What `function` raises is raised where its result would have come,
    and what the items raise, where theirs would.
    """
    if workers == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    coming = iter(items)

    def begin_next() -> None:
        try:
            waiting.append(pool.submit(function, next(coming)))
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 (raised in its turn)
            failed: Future[Result] = Future()
            failed.set_exception(error)
            waiting.append(failed)

    try:
        for _ in range(workers):
            begin_next()
        while waiting:
            result = waiting.popleft().result()
            begin_next()
            yield result
            del result
    finally:
        pool.shutdown(cancel_futures=True)
