"""Counts against hand counts, memory against what was really allocated, and the steps that write them."""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from tests.conftest import Command
from tests.test_workflow import jobs, plan_again
from tvqsr.data.crops import Batch
from tvqsr.efficiency import cost
from tvqsr.efficiency.cost import FEWEST, MOST, WARM_UPS, macs, milliseconds
from tvqsr.efficiency.fresh import FreshStages
from tvqsr.efficiency.job import count
from tvqsr.efficiency.memory import ON_CPU, peak_memory
from tvqsr.efficiency.training import saved_bytes, training_memory
from tvqsr.files import write_json
from tvqsr.nn.linear import Linear
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.report.efficiency import write_efficiency

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time no more images than it takes to have quartiles."""
    monkeypatch.setattr(cost, "SECONDS", 0.0)


def test_macs_of_convolutions_and_linear_layers() -> None:
    image = torch.rand(2, 6, 10, 8)
    assert macs(lambda: nn.Conv2d(6, 4, 3, padding=1)(image)) == 2 * (10 * 8) * (3 * 3 * 6 * 4)
    assert macs(lambda: nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2)(image)) == 2 * (5 * 4) * (3 * 3 * 6 * 4 // 2)
    tokens = torch.rand(3, 16, 64)
    for layer in (nn.Linear(64, 80), Linear(64, 80), Linear(64, 32)):
        assert macs(partial(layer, tokens)) == 3 * 16 * 64 * layer.out_features
    assert macs(lambda: image + 1) == 0


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_macs_of_attention_by_either_way_of_computing_it(backend: SDPBackend) -> None:
    """Queries by keys, then weights by values."""
    query, key = torch.rand(2, 4, 10, 8), torch.rand(2, 4, 12, 8)
    with sdpa_kernel(backend):
        assert macs(lambda: F.scaled_dot_product_attention(query, key, key)) == 2 * (2 * 4) * (10 * 12 * 8)


def test_macs_of_attention_with_a_bias_that_is_trained() -> None:
    query, bias = torch.rand(2, 4, 10, 8, requires_grad=True), torch.zeros(1, 4, 10, 10, requires_grad=True)
    found = macs(lambda: F.scaled_dot_product_attention(query, query, query, attn_mask=bias))
    assert found == 2 * (2 * 4) * (10 * 10 * 8)


def test_every_timed_call_is_made_after_the_warm_up() -> None:
    calls: list[None] = []
    times = milliseconds(lambda: calls.append(None), CPU)
    assert FEWEST <= len(times) <= MOST
    assert len(calls) == WARM_UPS + len(times)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets a process reset its peak memory")
def test_peak_memory_sees_what_is_freed_again() -> None:
    def run() -> float:
        return float(np.ones(96 * 2**20 // 8).sum())

    found, told = peak_memory(run, CPU)
    assert told == ON_CPU
    assert found == pytest.approx(96, abs=8)


def test_the_papers_size() -> None:
    """The paper's 57M counts the decoder's fusion before quantisation, which inference does not need."""
    fresh = FreshStages({})
    fresh.build(load_method("tvqrap", "here"), "predictor")
    tokenizer, predictor = (fresh.stages[f"tvqrap.{name}"] for name in ("tokenizer", "predictor"))
    assert count(tokenizer.moved_by("generator")) == pytest.approx(35.56e6, rel=1e-3)
    trained = count(predictor.moved_by("generator"))
    assert trained == pytest.approx(39.45e6, rel=1e-3)
    parts = dict(tokenizer.networks["tokenizer"].named_children())
    used = trained + sum(count(parts[name]) for name in ("structure_path", "image_path", "quantizer"))
    assert used == pytest.approx(53.85e6, rel=1e-3)
    assert used + count(parts["fusion"]) == pytest.approx(57.52e6, rel=1e-3)


def test_a_saved_tensor_is_counted_once_and_weights_are_not() -> None:
    """Against the allocator: what is allocated at the end of the losses and was not at their beginning."""
    torch.manual_seed(0)
    fresh = FreshStages({"width": 16, "codebook_size": 32, "discriminator_width": 16})
    fresh.build(load_method("tvqrap", "here"), "tokenizer")
    stage = fresh.stages["tvqrap.tokenizer"]
    by_shapes = saved_bytes(stage, "generator", 2, 128, step=10, fake=True)
    assert by_shapes == saved_bytes(stage, "generator", 2, 128, step=10, fake=False)
    batch = Batch(torch.rand(2, 3, 128, 128), torch.rand(2, 3, 32, 32))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        terms = stage("generator", batch, 10)
    allocated = sum(event.self_device_memory_usage or event.self_cpu_memory_usage for event in profiled.key_averages())
    assert set(terms) == {"pixel", "gan", "vq", "x_down", "align"}
    assert by_shapes == pytest.approx(allocated, rel=0.05)


def test_a_stage_that_was_counted_is_given_back() -> None:
    fresh = FreshStages({"width": 4, "codebook_size": 32, "discriminator_width": 4})
    fresh.build(load_method("tvqrap", "here"), "tokenizer")
    stage = fresh.stages.pop("tvqrap.tokenizer")
    training_memory(stage, 1, 64, step=10)
    kept = [ref(parameter) for parameter in stage.parameters()]
    del stage, fresh
    gc.collect()
    assert sum(parameter() is not None for parameter in kept) == 0


def test_memory_of_training_grows_with_the_batch_in_the_activations_alone() -> None:
    fresh = FreshStages({"width": 16, "codebook_size": 32})
    fresh.build(load_method("tvqrap", "here"), "tokenizer")
    one, two = (training_memory(fresh.stages["tvqrap.tokenizer"], size, 128, step=10) for size in (1, 2))
    weights = count(fresh.stages["tvqrap.tokenizer"]) * 4 / 2**20
    assert one["weights"] == pytest.approx(weights, abs=0.1)
    assert one["adam"] == pytest.approx(2 * weights, abs=0.1)
    saved = [memory["saved_for_backward"]["generator"] for memory in (one, two)]
    assert saved[1] == pytest.approx(2 * saved[0], rel=0.05)
    assert two["total"] - one["total"] == pytest.approx(saved[1] - saved[0], abs=0.2)


def test_efficiency_before_any_training(tvqsr: Command) -> None:
    small = ("--set", "width=8", "--set", "swin_depth=1")
    result = tvqsr("efficiency", "tvqrap", "--stage", "tokenizer", *small)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["input"], found["output"]) == ([1, 3, 256, 256], [1, 3, 256, 256])
    parts = found["parameters"]["parts"]["tvqrap.tokenizer"]
    in_use = sum(value for name, value in parts.items() if name.startswith("tokenizer."))
    assert found["parameters"]["inference"] == in_use
    moved = found["parameters"]["trained"]["tvqrap.tokenizer"]
    assert moved == in_use + parts["x_down_encoder"] + parts["x_down_decoder"]
    assert found["macs"] > 1e8
    assert json.loads(tvqsr("efficiency", "bicubic").stdout)["parameters"]["inference"] == 0
    training = tvqsr("efficiency", "vq", "--stage", "predictor", *small, "--training", "--batch", 2, "--crop", 64)
    assert json.loads(training.stdout)["mib"]["total"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tvqra",), "unknown method `tvqra`; did you mean `tvqrap`?"),
        (("vq", "--stage", "tokeniser"), "has no such stage; did you mean `tokenizer`?"),
        (("vq", "--set", "width=8", "--set", "widht=8"), "--set widht: no stage of vq.tokenizer, vq.predictor has"),
        (("tvqrap", "--set", "width=wide"), "--set width: expected int, found 'wide'"),
        (("tvqrap", "--batch", 2), "--batch and --crop are of --training"),
        (("vq", "--training", "--batch", 0, "--set", "width=8"), "--batch 0: expected 1 or more"),
        (("vq", "--training", "--crop", 50, "--set", "width=8"), "--crop 50: vq needs a multiple of"),
        (("bicubic", "--training"), "method `bicubic` has nothing to train"),
    ],
)
def test_mistakes_are_one_line(tvqsr: Command, words: tuple[object, ...], message: str) -> None:
    result = tvqsr("efficiency", *words)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_entry_costs_what_its_trained_networks_do_and_needs_no_training(
    results: Path, tiny_plan: Plan, tvqsr: Command
) -> None:
    run = tiny_plan.entry("tvq_rec").run
    assert run is not None
    for entry in ("tvq_rec", "hr_copy"):
        assert tvqsr("measure-entry", results, entry).returncode == 0
    assert tvqsr("prepare", results, "photos_train").returncode == 0
    assert tvqsr("train", results, run.name).returncode == 0
    found = json.loads(tiny_plan.paths.efficiency("tvq_rec").read_text())
    weights = load_file(tiny_plan.paths.weights(run.name, 0))
    assert found["parameters"]["inference"] == sum(
        value.numel() for name, value in weights.items() if name.startswith("tokenizer.")
    )
    moved = sum(value.numel() for name, value in weights.items() if not name.startswith("discriminator."))
    told = json.loads(tiny_plan.paths.run_record(run.name, 0).read_text())["parameters"]
    assert found["parameters"]["trained"] == {run.name: told} == {run.name: moved}
    assert found["parameters"]["counted"] == moved
    assert found["output"] == [1, 3, 256, 256]
    assert found["threads"] == tiny_plan.preset.runtime.threads
    low, high = found["milliseconds"]["quartiles"]
    assert 0 < low <= found["milliseconds"]["median"] <= high
    copied = json.loads(tiny_plan.paths.efficiency("hr_copy").read_text())
    assert (copied["parameters"]["inference"], copied["macs"]) == (0, None)
    assert copied["macs_reason"].startswith("no convolution")


def measured(**changes: Any) -> dict[str, Any]:
    return {
        "reads": "lr",
        "input": [1, 3, 64, 64],
        "parameters": {"inference": 53849331, "counted": 57523955},
        "macs": 100623187968,
        "macs_reason": None,
        "milliseconds": {"median": 38.04, "quartiles": [37.1, 39.2]},
        "timed_images": 50,
        "peak_memory_mib": 512.3,
        "peak_memory_of": "growth",
        "peak_memory_reason": None,
        "device": "cpu",
        "threads": 2,
    } | changes


def test_the_table_of_costs(tiny_plan: Plan) -> None:
    for entry in tiny_plan.entries:
        write_json(tiny_plan.paths.efficiency(entry), measured())
    without = {"peak_memory_mib": None, "peak_memory_of": None, "peak_memory_reason": "not on this system"}
    write_json(tiny_plan.paths.efficiency("bicubic"), measured(macs=None, macs_reason="nothing to count", **without))
    write_efficiency(tiny_plan)
    table = pd.read_csv(tiny_plan.paths.efficiency_table("csv")).set_index("entry")
    assert list(table.index) == list(tiny_plan.entries)
    assert table.loc["tvqrap", "macs"] == 100623187968
    assert table.peak_memory_mib.isna().sum() == 1
    assert ",100623187968," in tiny_plan.paths.efficiency_table("csv").read_text()
    text = tiny_plan.paths.efficiency_table("md").read_text()
    row = "| 53.85 | 57.52 | 100.62 | 38.0 [37.1, 39.2] | 512 | cpu, 2 thread(s) |"
    assert row in " ".join(text.split())
    assert "- MACs are n/a: nothing to count (Bicubic)." in text
    assert "- Peak memory is n/a: not on this system (Bicubic)." in text
    tex = tiny_plan.paths.efficiency_table("tex").read_text()
    assert r"\toprule" in tex
    assert r"TVQ\&RAP" in tex


def test_the_workflow_measures_every_entry_and_makes_no_image(tmp_path: Path) -> None:
    planned = jobs(plan_again(tmp_path, "efficiency"))
    assert planned["measure"] == 7
    assert planned["efficiency_table"] == 1
    assert not {"prepare", "train", "upscale", "score", "main_table"} & set(planned)
