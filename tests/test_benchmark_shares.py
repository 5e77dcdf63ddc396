"""Whose time on a GPU it was: events as torch's profiler hands them out, made by hand, against torch's own table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from torch._C._autograd import DeviceType
from torch.autograd.profiler_util import EventList, FunctionEvent

from tests.benchmarks.shares import shares

MAIN, BACKWARD, STREAM = 1, 2, 7


class Recorded:
    """Events of one step, as `torch.autograd.profiler.profile._parse_kineto_results` makes them from CUPTI's."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_cpu(self, name: str, start: int, end: int, thread: int = MAIN, sequence: int = -1, **more: Any) -> Any:
        event = FunctionEvent(
            len(self.events), name, thread, start, end, use_device="cuda", sequence_nr=sequence, input_shapes=[], **more
        )
        self.events.append(event)
        return event

    def on_gpu(self, name: str, start: int, end: int, by: Any = None, annotation: bool = False) -> None:
        """A kernel, or the shadow of an annotation, linked to what it came from."""
        self.events.append(
            FunctionEvent(
                len(self.events),
                name,
                STREAM,
                start,
                end,
                use_device="cuda",
                device_type=DeviceType.CUDA,
                is_user_annotation=annotation,
                input_shapes=[],
            )
        )
        if by is not None:
            by.append_kernel(name, 0, end - start)

    def done(self) -> Any:
        found: Any = EventList(sorted(self.events, key=lambda e: [e.time_range.start, -e.time_range.end]))
        found._use_device = "cuda"
        found._build_tree()
        return found


@pytest.fixture
def events() -> Any:
    """A decoder's convolution of 300 us forward and 500 back, an optimiser's 150, a copy of nobody's of 50.

    The host is ahead: it has launched all within 100 us.
    """
    made = Recorded()
    mark = made.on_cpu("part: decoder", 0, 30, is_user_annotation=True)
    made.on_cpu("aten::conv2d", 1, 20, sequence=4)
    forward = made.on_cpu("aten::cudnn_convolution", 2, 19, sequence=4)
    made.on_cpu("cudaLaunchKernel", 5, 9)
    made.on_gpu("implicit_gemm", 100, 400, by=forward)
    # What torch links of the mark: its shadow, as long as all that was launched in it.
    made.on_gpu("part: decoder", 100, 400, by=mark, annotation=True)
    node = "autograd::engine::evaluate_function: ConvolutionBackward0"
    made.on_cpu(node, 40, 60, BACKWARD, sequence=4)
    backward = made.on_cpu("aten::convolution_backward", 45, 55, BACKWARD)
    made.on_gpu("dgrad", 400, 700, by=backward)
    made.on_gpu("wgrad", 700, 900, by=backward)
    step = made.on_cpu("part: optimiser", 70, 90, is_user_annotation=True)
    adam = made.on_cpu("aten::_fused_adam_", 72, 88)
    made.on_gpu("adam_kernel", 900, 1050, by=adam)
    made.on_gpu("part: optimiser", 900, 1050, by=step, annotation=True)
    made.on_gpu("Memcpy HtoD", 1050, 1100)
    return made.done()


def test_each_kernel_counts_once_for_the_part_that_launched_it(events: Any) -> None:
    operators, parts, total = shares(events, on_gpu=True)
    assert total == 1000
    assert parts == {"decoder": 0.8, "optimiser": 0.15, "the rest": 0.05}
    expected = {"aten::convolution_backward": 0.5, "aten::cudnn_convolution": 0.3, "aten::_fused_adam_": 0.15}
    assert operators == expected | {"the rest": 0.05}


def test_the_sum_is_the_total_of_torchs_table(events: Any) -> None:
    said = re.search(r"Self CUDA time total: ([\d.]+)(us|ms)", events.table())
    assert said
    assert shares(events, on_gpu=True)[2] == float(said[1]) * {"us": 1, "ms": 1000}[said[2]]


def test_a_kernel_launched_within_a_mark_by_no_operation_is_the_parts() -> None:
    """As compiled code does, whose kernels torch knows no operation for but a `record_function`."""
    made = Recorded()
    made.on_cpu("part: decoder", 0, 30, is_user_annotation=True)
    call = made.on_cpu("## Call CompiledFxGraph ##", 1, 29, is_user_annotation=True)
    made.on_gpu("triton_fused_0", 50, 150, by=call)
    made.on_gpu("## Call CompiledFxGraph ##", 50, 150, by=call, annotation=True)
    operators, parts, total = shares(made.done(), on_gpu=True)
    assert (operators, parts, total) == ({"## Call CompiledFxGraph ##": 1}, {"decoder": 1}, 100)


def test_without_cupti_spans_of_operations_count_less_their_childrens() -> None:
    made = Recorded()
    for name, start, end, span in (("part: decoder", 0, 30, 100), ("aten::conv2d", 1, 20, 80), ("inner", 2, 9, 60)):
        event = made.on_cpu(name, start, end, is_legacy=True)
        event.append_kernel(name, 0, span)
    operators, parts, total = shares(made.done(), on_gpu=True)
    assert (parts, total) == ({"decoder": 1}, 100)
    assert operators == {"inner": 0.6, "decoder": 0.2, "aten::conv2d": 0.2}


def test_on_a_cpu_its_own_time_counts(events: Any) -> None:
    operators, parts, total = shares([event for event in events if event.device_type == DeviceType.CPU], on_gpu=False)
    assert total == 30 + 20 + 20
    assert parts == pytest.approx({"decoder": 50 / 70, "optimiser": 20 / 70})
    assert operators["aten::_fused_adam_"] == pytest.approx(16 / 70)
