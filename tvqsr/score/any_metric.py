"""Any metric of pyiqa as a protocol, `pyiqa:NAME`: with pyiqa's defaults, and weights that pyiqa looks after."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, NoReturn
from unittest.mock import patch

from tvqsr.plan.pyiqa_metrics import PREFIX, ListedMetric, listed_metric
from tvqsr.score.learned import PyiqaMetric, exact, unit
from tvqsr.score.picture import Picture
from tvqsr.score.protocol import Protocol, UnfitError
from tvqsr.score.pyiqa_classes import PyiqaClass, pyiqa_class

FAILURES = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ImportError)
"""What pyiqa and its libraries raise where weights, packages or a fitting image are missing."""
PYIQAS = "by pyiqa's defaults"
GIVEN = f"8-bit RGB is given, all else {PYIQAS}"
"""All that is known of samples and networks beside the options of pyiqa's list and its classes' defaults."""
OF_COLOURS = ("test_y_channel", "color_space")
"""Options that say which samples are compared, and of which matrix."""
TURN = Lock()
"""Whose turn it is: metrics that look at random crops take the generators of the whole process."""


@dataclass(frozen=True)
class AnyMetric:
    """A metric of pyiqa that the suite knows nothing of but what pyiqa's list tells."""

    metric: PyiqaMetric

    def load(self, device: str) -> None:
        self.metric.load(device)

    def of_pair(self, sr: Picture, hr: Picture, device: str) -> float:
        return self._of(device, sr, hr)

    def of_image(self, sr: Picture, device: str) -> float:
        return self._of(device, sr)

    def _of(self, device: str, *pictures: Picture) -> float:
        network = self.metric.network(device)
        try:
            with TURN, exact(), _seeded():
                found = network(*(unit(picture.pixels, device) for picture in pictures))
                return float(found)
        except FAILURES as error:
            sides = " x ".join(str(side) for side in reversed(pictures[0].pixels.shape[:2]))
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnfitError(f"{PREFIX}{self.metric.name} gives no number for an image of {sides} ({why})") from None


def any_of_pyiqa(name: str) -> Protocol:
    """The protocol `pyiqa:NAME`. Raises UserError for a name that pyiqa does not have."""
    listed = listed_metric(name, "protocols")
    found = pyiqa_class(listed.kind)
    metric = AnyMetric(PyiqaMetric(listed.name))
    reference = "" if listed.needs_hr else ", no reference"
    return Protocol(
        name,
        f"{listed.name} (pyiqa)",
        listed.higher_is_better,
        f"pyiqa `{listed.name}`: {listed}{_defaults(listed, found)}, {GIVEN}, whole image{reference}",
        4,
        colours=_colours(listed, found),
        rounding=GIVEN,
        network=PYIQAS,
        library=tuple(dict.fromkeys(("pyiqa", "torch", *found.libraries))),
        load=metric.load,
        of_pair=metric.of_pair if listed.needs_hr else None,
        of_image=None if listed.needs_hr else metric.of_image,
    )


def _defaults(listed: ListedMetric, found: PyiqaClass) -> str:
    """What pyiqa's list leaves to the class."""
    left = {key: value for key, value in found.defaults.items() if key not in listed.options}
    return f", by default {', '.join(f'{key}={value}' for key, value in left.items())}" if left else ""


def _colours(listed: ListedMetric, found: PyiqaClass) -> str:
    options = {**found.defaults, **{key: repr(value) for key, value in listed.options.items()}}
    told = [f"{key}={options[key]}" for key in OF_COLOURS if key in options]
    return f"8-bit RGB is given, {', '.join(told)}, all else {PYIQAS}" if told else GIVEN


@contextmanager
def no_network() -> Iterator[None]:
    """Nothing reaches the network from here, whichever library tries."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("it wants to fetch something, and downloads are not allowed")

    with patch.object(socket.socket, "connect", refuse), patch.object(socket, "getaddrinfo", refuse):
        yield


@contextmanager
def _seeded() -> Iterator[None]:
    """Random crops are the same each time."""
    import numpy as np
    import torch

    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the metrics' own generator
    with torch.random.fork_rng():
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(drawn)
            np.random.set_state(drawn_by_numpy)  # noqa: NPY002
