"""The measurements of speed measure what they say: small ones, whose numbers are not looked at but for equality."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.measure import PLAIN, in_turns, made_plain, relative
from tests.benchmarks.profiled import profiled
from tests.benchmarks.training import Step, new_stage, variants
from tvqsr.nn.blocks import GroupNorm
from tvqsr.nn.linear import Linear

CPU = torch.device("cpu")


def test_ways_take_turns_after_a_first_call_each() -> None:
    calls: list[str] = []
    found = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, CPU)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert found["a"]["times_as_fast"] == 1
    assert found["b"]["times_as_fast"] == found["a"]["best_seconds"] / found["b"]["best_seconds"]


def test_the_plain_way_has_nothing_of_ours() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), GroupNorm(2, 8), Linear(64, 64)).to(memory_format=torch.channels_last)
    made_plain(network)
    assert [type(part) for part in network] == [nn.Conv2d, nn.GroupNorm, nn.Linear]
    assert network[0].get_parameter("weight").is_contiguous()


def test_a_step_is_the_plain_one() -> None:
    """Losses and gradient of the tokenizer, `small`, but for the GAN's: its mean logit nearly cancels."""
    ways = variants(CPU, None)
    steps = {name: Step(new_stage("small", "tokenizer"), ways[name], 2, 64, CPU) for name in (PLAIN, "ours")}
    expected = steps[PLAIN].gradient()
    for name, step in steps.items():
        assert relative(step.gradient() if name != PLAIN else expected, expected) < 1e-2, name
        for term, value in steps[PLAIN].terms.items():
            if term != "gan":
                assert float(step.terms[term].detach()) == pytest.approx(float(value.detach()), rel=1e-5), (name, term)


def test_the_profile_finds_the_parts_of_a_step() -> None:
    (found,) = profiled(CPU, 1, "small", ("predictor",), (1, 64))
    (stage,) = found["stages"]
    parts = stage["parts"]
    assert sum(parts.values()) == pytest.approx(1, abs=0.02)
    assert parts["predictor"] == max(parts.values())
    assert {"encoder, frozen", "optimiser", "running average", "quantiser"} <= set(parts)
    assert "decoder, frozen" not in parts


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
    assert "vector-quantize-pytorch" in out and "quality: give a finished run with --run" in out
    written = json.loads((tmp_path / "search.json").read_text())
    assert written["made_by"]["machine"]["cores"] > 0
    assert [row["ways"]["ours"]["wrong"] for row in written["search"]] == [0] * 4
