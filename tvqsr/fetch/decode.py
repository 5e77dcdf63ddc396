"""Decoding every image once, on all cores: Pillow frees the interpreter while it decodes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tvqsr.errors import UserError

AHEAD = 4
"""Images per worker that may wait: no list of a million."""


class Decoding:
    """Images whose decoding is under way."""

    def __init__(self, pool: ThreadPoolExecutor, workers: int) -> None:
        self._pool, self._most = pool, AHEAD * workers
        self._waiting: deque[Future[None]] = deque()

    def add(self, image: Path, told: str) -> None:
        """Decode an image, in its turn. Raises UserError if an earlier one is damaged."""
        self._waiting.append(self._pool.submit(decode, image, told))
        while len(self._waiting) > self._most:
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait for all. Raises UserError if one is damaged."""
        while self._waiting:
            self._waiting.popleft().result()


@contextmanager
def decoding() -> Iterator[Decoding]:
    """Decode on the cores that this process may use; all images are done at the end."""
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        under_way = Decoding(pool, workers)
        try:
            yield under_way
            under_way.finish()
        finally:
            pool.shutdown(cancel_futures=True)


def decode(image: Path, told: str) -> None:
    """Decode a whole image, and check the sums that its format has (PNG's). Raises UserError naming it as `told`.

    Whether it is a kind that can be worked with (8 bits, opaque) is asked by who reads it: `tvqsr.data.images`.
    """
    from PIL import Image, UnidentifiedImageError

    from tvqsr.undecodable import UNDECODABLE

    try:
        with Image.open(image) as opened:
            # Apart from decoding: `load` passes over the checksums of PNG's pixels.
            opened.verify()
        with Image.open(image) as opened:
            opened.load()
    except UNDECODABLE as error:
        # Pillow names the file, which is about to be removed.
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{told}: is damaged ({reason}); fetch it again, or report it to its owners") from None
