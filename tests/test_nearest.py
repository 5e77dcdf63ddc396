"""The nearest code against a search in float64: near ties, codes far from the origin, duplicates, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tvqsr.efficiency.memory import peak_memory
from tvqsr.nn import nearest
from tvqsr.nn.linear import linear
from tvqsr.nn.nearest import CLOSEST, nearest_code


def in_float64(vectors: Tensor, codebook: Tensor) -> Tensor:
    """By differences, which cancel nothing; the first where several are nearest."""
    codes = codebook.double()
    return torch.cat([(v.double() - codes).square().sum(dim=1).argmin()[None] for v in vectors])


def in_fp32(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The same formula without precautions."""
    return torch.addmm(0.5 * codebook.square().sum(dim=1), vectors, codebook.t(), alpha=-1).argmin(dim=1)


@pytest.mark.parametrize(("codes", "channels"), [(1, 4), (2, 1), (32, 6), (200, 64), (1024, 32)])
def test_the_index_of_a_search_in_float64(codes: int, channels: int) -> None:
    torch.manual_seed(0)
    vectors, codebook = torch.randn(500, channels), torch.randn(codes, channels)
    expected = in_float64(vectors, codebook)
    for scores in (None, 7 * codes, 1):
        assert torch.equal(nearest_code(vectors, codebook, scores), expected)


@pytest.mark.parametrize("offset", [0.0, 30.0, 3000.0])
def test_codes_far_from_the_origin(offset: float) -> None:
    torch.manual_seed(0)
    vectors, codebook = torch.randn(2000, 64) + offset, torch.randn(256, 64) + offset
    expected = in_float64(vectors, codebook)
    assert torch.equal(nearest_code(vectors, codebook), expected)
    if offset > 1000:
        assert not torch.equal(in_fp32(vectors, codebook), expected), "no test of cancellation"


@pytest.mark.parametrize("others", [40 * CLOSEST, 0])
def test_near_ties_are_told_apart(others: int) -> None:
    """Vectors half-way between two codes but for rounding, few or all: fp32 alone gets some of them wrong."""
    torch.manual_seed(0)
    codebook = torch.randn(64, 64)
    pairs = torch.randint(64, (400, 2))
    between = torch.lerp(codebook[pairs[:, 0]], codebook[pairs[:, 1]], 0.5)
    vectors = torch.cat([between, torch.randn(others, 64)])
    expected = in_float64(vectors, codebook)
    assert not torch.equal(in_fp32(vectors, codebook), expected), "no near ties"
    assert torch.equal(nearest_code(vectors, codebook), expected)


@pytest.mark.parametrize("copies", [3, 64])
@pytest.mark.parametrize("apart", [0.0, 1e-7])
def test_of_equal_codes_the_first(copies: int, apart: float) -> None:
    """Of nearly equal ones the nearest, as float64 tells. 64 codes and more are another path of torch's."""
    torch.manual_seed(0)
    codebook = torch.randn(16, 64)
    codebook = torch.cat([codebook + apart * number for number in range(copies)])
    vectors = torch.cat([codebook, torch.randn(1000, 64)])
    found = nearest_code(vectors, codebook)
    assert torch.equal(found, in_float64(vectors, codebook))
    assert apart or int(found.max()) < 16


def test_a_hundred_equal_vectors_have_one_code() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        codebook = torch.randn(128, 64)
        vector = (codebook[3] + codebook[90]) / 2
        assert len(nearest_code(vector.repeat(640, 1), codebook).unique()) == 1


def test_a_device_that_is_not_waited_for_searches_the_closest_races_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    codebook = torch.randn(64, 64)
    pairs = torch.randint(64, (40, 2))
    between = torch.lerp(codebook[pairs[:, 0]], codebook[pairs[:, 1]], 0.5)
    vectors = torch.cat([between, torch.randn(40 * CLOSEST, 64)])
    monkeypatch.setattr(nearest, "on_cpu", lambda _: False)
    assert torch.equal(nearest_code(vectors, codebook), in_float64(vectors, codebook))


def test_in_fp32_whatever_precision_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, which only a GPU has, is off while scores are computed; autocast would make them bfloat16 here, too."""
    torch.manual_seed(0)
    vectors, codebook = torch.randn(4000, 64), torch.randn(512, 64)
    expected = in_float64(vectors, codebook)
    seen = set()

    def watched(*tensors: Tensor) -> Tensor:
        seen.add(torch.get_float32_matmul_precision())
        return linear(*tensors)

    monkeypatch.setattr(nearest, "linear", watched)
    monkeypatch.setattr(nearest, "CLOSEST", 4000)
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(nearest_code(vectors, codebook), expected)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == {"highest"}


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.bytes = max([self.bytes, *(leaf.untyped_storage().nbytes() for leaf in made)])
        return out


@pytest.mark.parametrize("channels", [8, 64])
def test_memory_is_bounded_whatever_the_number_of_vectors(channels: int) -> None:
    vectors, codebook = torch.randn(5000, channels), torch.randn(300, channels)
    exact_codebook = 8 * codebook.numel()
    with Largest() as unbounded:
        nearest_code(vectors, codebook, 5000 * 300)
    with Largest() as bounded:
        nearest_code(vectors, codebook, 30_000)
    assert unbounded.bytes >= 4 * 5000 * 300
    inputs_alone = vectors.untyped_storage().nbytes()
    assert bounded.bytes <= max(4 * 30_000, exact_codebook, inputs_alone)


def test_the_process_grows_by_some_chunks_at_most() -> None:
    """16 MiB of scores at a time, 32 times: what is freed must serve again. torch's own distances take 512 MiB."""
    vectors, codebook = torch.randn(16_384, 32), torch.randn(8192, 32)
    grown, reason = peak_memory(lambda: nearest_code(vectors, codebook), torch.device("cpu"))
    if grown is None:
        pytest.skip(reason)
    assert grown < 250


def test_no_gradient_is_recorded() -> None:
    codebook = torch.randn(8, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda _: pytest.fail("something was kept"), lambda x: x):
        nearest_code(torch.randn(9, 64, requires_grad=True), codebook)
