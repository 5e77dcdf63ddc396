"""The measurements of speed measure what they say: small ones, whose numbers are not looked at but for equality."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import inference, large, memory
from tests.benchmarks.alone import alone
from tests.benchmarks.measure import PLAIN, allowed_tf32, in_turns, made_plain, relative
from tests.benchmarks.memory import Memory, peak_alone
from tests.benchmarks.profiled import profiled
from tests.benchmarks.seams import largest_step, seams
from tests.benchmarks.training import CPU_CROPS, STAGES, Step, Switches, crops, new_stage, variants
from tests.held import Fatal, Held
from tvqsr.contract import Stage
from tvqsr.data.images import write_png
from tvqsr.nn.blocks import GroupNorm
from tvqsr.nn.linear import Linear
from tvqsr.nn.perceptual import PerceptualLoss

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def built() -> Stage:
    """The tokenizer of the size `small`: to be copied, for building VGG's random weights takes seconds."""
    return new_stage("small", "tokenizer")


def test_ways_take_turns_each_called_once_before_it_is_timed() -> None:
    calls: list[str] = []
    found = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, CPU)
    assert calls == ["a", "a", "b", "b"] * found["a"]["rounds"]
    assert found["a"]["times_as_fast"] == 1
    assert found["b"]["times_as_fast"] == found["a"]["best_seconds"] / found["b"]["best_seconds"]


@pytest.mark.parametrize(
    ("lasting", "rounds"),
    [([1.0, 9.0, 1.02], 3), ([9.0, 5.0, 1.0, 3.0, 1.02], 5), ([2.0**-n for n in range(20)], 12)],
    ids=["quiet", "until the best was seen twice", "never quiet"],
)
def test_on_a_busy_machine_rounds_go_on(monkeypatch: pytest.MonkeyPatch, lasting: list[float], rounds: int) -> None:
    now, timed = [0.0], iter(lasting)
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        now[0] += next(timed) if len(calls) % 2 == 0 else 100.0

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = in_turns({"a": call}, 3, CPU)["a"]
    assert (found["rounds"], len(calls)) == (rounds, 2 * rounds)
    assert found["best_seconds"] == pytest.approx(min(lasting[:rounds]))


def test_memory_is_of_one_way_alone_and_has_what_it_keeps_and_what_it_takes_for_a_while() -> None:
    of_others = Held(500, 0)
    found = peak_alone(partial(Held, 100, 200), CPU)
    assert found.mib == pytest.approx(300, abs=30)
    assert len(of_others.own) == 500 << 20


def test_a_way_that_is_killed_has_no_memory_but_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "alone", lambda *_: alone(Fatal()))
    found = peak_alone(partial(Held, 1, 1), CPU)
    assert found.mib is None and "killed" in str(found.reason)


def test_what_could_not_be_measured_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = in_turns({"a": int, "b": int}, 1, CPU, {"a": Memory(12.0), "b": Memory(None, "no such thing")})
    assert (found["a"]["peak_memory_mib"], found["a"]["peak_memory_reason"]) == (12.0, None)
    assert (found["b"]["peak_memory_mib"], found["b"]["peak_memory_reason"]) == (None, "no such thing")
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("12 MiB") and second.endswith("memory n/a: no such thing")


def test_tf32_is_where_it_is_said_and_only_as_long() -> None:
    def flags() -> tuple[bool, bool]:
        return torch.get_float32_matmul_precision() != "highest", torch.backends.cudnn.allow_tf32

    before = flags()
    seen = {}
    for what in ("none", "convolutions", "all"):
        with pytest.raises(ZeroDivisionError), allowed_tf32(what):
            seen[what] = flags()
            raise ZeroDivisionError
        assert flags() == before
    assert seen == {"none": (False, False), "convolutions": (False, True), "all": (True, True)}


def test_ways_on_a_gpu_say_what_is_tf32_and_compiled() -> None:
    ways = variants(CUDA, Path("cache")) | {f"image: {k}": v for k, v in inference.ways(CUDA, Path("cache")).items()}
    for name, way in ways.items():
        expected = "convolutions" if "convolutions" in name else "all" if "TF32" in name else "none"
        assert (way.tf32, way.compiled is not None) == (expected, "compiled" in name), name
    assert {way.tf32 for way in ways.values()} == {"none", "convolutions", "all"}
    assert not any(way.compiled for way in variants(CUDA, None).values())


def test_a_gpu_has_the_crops_that_are_trained_with() -> None:
    assert [crops("paper", stage, CUDA) for stage in STAGES] == [(8, 512), (32, 256), (4, 512)]
    assert [crops("small", stage, CUDA) for stage in STAGES] == [(16, 128)] * 3
    assert {crops("paper", stage, CPU) for stage in STAGES} == {CPU_CROPS["paper"]}


def test_a_gpu_compiles_unless_told_not_to(tmp_path: Path) -> None:
    def code(device: torch.device, given: Path | None = None, no_compile: bool = False) -> Path | None:
        return benchmarks.compiled_code(argparse.Namespace(compile=given, no_compile=no_compile), device, tmp_path)

    assert (code(CUDA), code(CPU), code(CUDA, no_compile=True)) == (tmp_path, None, None)
    assert code(CPU, Path("mine")) == code(CUDA, Path("mine")) == Path("mine")


def test_the_plain_way_has_nothing_of_ours() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), GroupNorm(2, 8), Linear(64, 64)).to(memory_format=torch.channels_last)
    made_plain(network)
    assert [type(part) for part in network] == [nn.Conv2d, nn.GroupNorm, nn.Linear]
    assert network[0].get_parameter("weight").is_contiguous()


def test_a_step_is_the_plain_one(built: Stage) -> None:
    """Losses and gradient of the tokenizer, `small`, but for the GAN's: its mean logit nearly cancels."""
    ways = variants(CPU, None)
    steps = {name: Step(deepcopy(built), ways[name], 1, 64, CPU) for name in (PLAIN, "ours")}
    expected = steps[PLAIN].gradient()
    for name, step in steps.items():
        assert relative(step.gradient() if name != PLAIN else expected, expected) < 1e-2, name
        for term, value in steps[PLAIN].terms.items():
            if term != "gan":
                assert float(step.terms[term].detach()) == pytest.approx(float(value.detach()), rel=1e-5), (name, term)


def test_the_small_size_has_lpips_which_goes_back_twice_where_its_gradient_is_not_kept(built: Stage) -> None:
    stage = deepcopy(built)
    (loss,) = (part for part in stage.modules() if isinstance(part, PerceptualLoss))
    passes: list[int] = []
    loss.lpips.register_full_backward_hook(lambda *_: passes.append(1))
    step = Step(stage, Switches(), 1, 32, CPU)
    step()
    kept = len(passes)
    step.switches = replace(step.switches, kept=False)
    step()
    assert (kept, len(passes) - kept) == (1, 2)


def test_the_profile_finds_the_parts_of_a_step() -> None:
    (found,) = profiled(CPU, 1, "small", {"tokenizer": (1, 64), "predictor": (1, 64)})
    trained, stage = found["stages"]
    # Of the tokenizer's losses, one goes back while they are computed.
    assert trained["macs"] > 0
    assert {"encoder", "decoder", "LPIPS", "discriminator"} <= set(trained["precisions"]["fp32"]["parts"])
    step = stage["precisions"]["fp32"]
    rate = stage["macs"] / step["seconds"]
    assert step["share_of_matrix_rate"] == pytest.approx(rate / found["macs_per_second"]["fp32"])
    parts = step["parts"]
    assert sum(parts.values()) == pytest.approx(1, abs=0.02)
    assert parts["predictor"] == max(parts.values())
    assert {"encoder, frozen", "optimiser", "running average", "quantiser"} <= set(parts)
    assert "decoder, frozen" not in parts


@pytest.mark.slow
def test_a_large_image_has_its_memory_and_a_verdict() -> None:
    found = large.large(CPU, 72, tile=64, chosen=(PLAIN, "ours"))["ways"]
    for row in found.values():
        assert 0 < row["held_before_mib"] < row["peak_memory_mib"] < 4096
        assert row["within_bound"] is True
    assert found[PLAIN]["relative_difference"] == 0 < found["ours"]["relative_difference"]


def test_a_seam_is_a_step_that_a_whole_row_or_column_makes() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 400, 600) * 20 / 255
    assert largest_step(image) < 2
    for whole_length in (image[..., 250:], image[..., 130:, :]):
        seamed = image.clone()
        seamed[..., -whole_length.shape[-2] :, -whole_length.shape[-1] :] += 5 / 255
        assert largest_step(seamed) == pytest.approx(5, abs=1.5)


def test_photos_beyond_a_tile_are_held_against_the_whole(results: Path, tmp_path: Path) -> None:
    for name, sides in (("large", (150, 90)), ("small", (40, 60))):
        pixels = np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8)
        write_png(tmp_path / "photos" / f"{name}.png", pixels)
    (found,) = seams(results, "bicubic", tmp_path / "photos", tile=64)
    (row,) = found["photos"]
    assert (row["photo"], row["lr"]) == ("large", [150, 90])
    # What bicubic looks at is nearer than tiles overlap.
    assert row["rms_difference"] < 0.1 and row["largest_step"] < 1e-3 < row["own_step"]


@pytest.fixture
def _quick_collections() -> Iterator[None]:
    """What other tests imported and made is not looked through each time memory is measured."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_quick_collections")
def test_one_command_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--only",
        "search",
        "quality",
        "--tokens",
        "40",
        "--rounds",
        "1",
        "--threads",
        "1",
        "--into",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    benchmarks.main()
    out = capsys.readouterr().out
    assert "vector-quantize-pytorch" in out and "quality: left out without --run" in out
    written = json.loads((tmp_path / "search.json").read_text())
    assert written["made_by"]["machine"]["cores"] > 0
    assert [row["ways"]["ours"]["wrong"] for row in written["search"]] == [0] * 4
