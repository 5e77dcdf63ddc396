"""Whose time it was: events of torch's profiler summed by operator and by part of the networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from torch._C._autograd import DeviceType

MARK = "part: "
"""What the names of `record_function` begin with that say which part is at work."""
REST = "the rest"


def shares(events: Iterable[Any], on_gpu: bool) -> tuple[dict[str, float], dict[str, float], float]:
    """Share of each operator and of each part, largest first, and the microseconds that all of them took.

    Of the CPU's time or, `on_gpu`, of that of kernels, each by the operation that launched it. Their sum is the total
    of torch's own table (`torch.autograd.profiler_util`): the device's events count, and among them no annotation, for
    that spans kernels which are events themselves. A kernel that no operation is known to have launched is the rest's.
    """
    events = list(events)
    on_cpu = [event for event in events if event.device_type == DeviceType.CPU]
    of_sequence: dict[int, str] = {}
    for event in on_cpu:
        part = _marked(event)
        if part and event.sequence_nr >= 0:
            of_sequence.setdefault(event.sequence_nr, part)
    operators: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for event in on_cpu:
        spent: Any = _launched(event) if on_gpu else event.self_cpu_time_total
        operators[event.name.removeprefix(MARK)] += spent
        parts[_marked(event) or of_sequence.get(_backward_of(event), REST)] += spent
    if on_gpu:
        unknown: Any = max(0, _on_device(events) - sum(parts.values()))
        operators[REST] += unknown
        parts[REST] += unknown
    return _normalised(operators), _normalised(parts), float(sum(parts.values()))


def _launched(event: Any) -> float:
    """Microseconds of the kernels that an event of the CPU launched itself."""
    if event.is_legacy:
        # Without CUPTI torch has no kernels, but one span for each operation, children included.
        return float(event.self_device_time_total)
    # What has an annotation's own name is its shadow on the device, which spans others' kernels.
    return float(sum(kernel.duration for kernel in event.kernels if kernel.name != event.name))


def _on_device(events: Iterable[Any]) -> float:
    return float(
        sum(
            event.time_range.elapsed_us()
            for event in events
            if event.device_type != DeviceType.CPU and not event.is_user_annotation
        )
    )


def _marked(event: Any) -> str | None:
    """The innermost part that an event happened in."""
    while event is not None:
        if event.name.startswith(MARK):
            return str(event.name.removeprefix(MARK))
        event = event.cpu_parent
    return None


def _backward_of(event: Any) -> int:
    """Sequence number of the forward operation that an event goes back through; -1 for none."""
    while event is not None:
        if event.name.startswith("autograd::engine::evaluate_function"):
            return int(event.sequence_nr)
        event = event.cpu_parent
    return -1


def _normalised(times: Counter[str]) -> dict[str, float]:
    total = sum(times.values()) or 1
    return {name: spent / total for name, spent in times.most_common() if spent / total >= 0.001}
