"""Vanilla VQ with skip connections: it starts as plain vanilla VQ, then moves predictor and connections alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.conftest import Command
from tests.untrained import ChangedPreset, batch, gradients, run_of, untrained
from tvqsr.contract import Trained
from tvqsr.data.images import read_image
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin


def add_skip(content: dict[str, Any]) -> None:
    content["methods"]["vq"]["skip"] = {"settings": {"perceptual": "none", "discriminator_width": 4}}
    content["entries"] = {
        "vq": {"method": "vq"},
        "vq_rec": {"method": "vq", "upscales_with": "tokenizer"},
        "vq_skip": {"method": "vq", "upscales_with": "skip"},
    }


@pytest.fixture
def skip_plan(preset: ChangedPreset) -> Plan:
    return Plan.load(str(preset(add_skip)))


def test_at_the_start_its_images_are_those_of_vanilla_vq(skip_plan: Plan) -> None:
    skip_run, plain_run = run_of(skip_plan, "vq", "skip"), run_of(skip_plan, "vq", "predictor")
    plugin = load_plugin(skip_run.method)
    skip, plain = plugin.upscaler(untrained(skip_run)[1]), plugin.upscaler(untrained(plain_run)[1])
    lr, hr = torch.rand(1, 3, 32, 64), torch.rand(1, 3, 128, 256)
    with torch.no_grad():
        assert torch.equal(skip(lr), plain(lr))
        assert torch.equal(skip.codes(lr)[0], plain.codes(lr)[0])
        found, expected = skip.codes_of_hr(hr), plain.codes_of_hr(hr)
        assert found is not None
        assert expected is not None
        assert torch.equal(found[0], expected[0])
    assert (skip.multiple, skip.codebooks) == (plain.multiple, plain.codebooks)


def test_each_connection_alone_changes_the_image(skip_plan: Plan) -> None:
    run = run_of(skip_plan, "vq", "skip")
    trained = untrained(run)[1]
    lr = torch.rand(1, 3, 32, 32)
    images = []
    for name in ("none", "at_quarter", "at_eighth"):
        weights = dict(trained.weights)
        if name != "none":
            weights[f"skips.{name}.weight"] = torch.ones_like(weights[f"skips.{name}.weight"])
        with torch.no_grad():
            images.append(load_plugin(run.method).upscaler(Trained("skip", run.settings, weights, trained.needs))(lr))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(images[0], images[2])
    assert not torch.allclose(images[1], images[2])


def test_image_losses_reach_the_connections_and_the_whole_predictor(skip_plan: Plan) -> None:
    stage = untrained(run_of(skip_plan, "vq", "skip"))[0]
    parts = gradients(stage, "pixel")
    assert parts == {"predictor.lr_encoder", "predictor.head", "skips.at_quarter", "skips.at_eighth"}
    assert set(stage.losses("generator", batch(), 0)) == {"pixel", "gan"}


def test_its_budget_and_losses_are_those_of_rap() -> None:
    skip = load_method("vq", "here").spec.stages["skip"]
    rap = load_method("tvqrap", "here").spec.stages["rap"]
    assert skip.training == rap.training
    of_rap_alone = {"index_weight", "structure_weight"}
    assert skip.settings == {name: value for name, value in rap.settings.items() if name not in of_rap_alone}


def test_it_is_trained_and_makes_images_with_codes(skip_plan: Plan, tvqsr: Command) -> None:
    root, run = skip_plan.paths.root, skip_plan.entry("vq_skip").run
    assert run is not None
    steps: list[tuple[object, ...]] = [
        ("record", "--preset", "mine.yaml"),
        *(("prepare", root, f"photos_{part}") for part in ("train", "test")),
    ]
    steps += [("train", root, needed.name) for needed in run.lineage()]
    steps += [("upscale-entry", root, entry, "photos_test") for entry in ("vq_skip", "vq_rec")]
    for words in steps:
        result = tvqsr(*words)
        assert result.returncode == 0, result.stderr
    folder = skip_plan.paths.images("vq_skip", 0, "photos_test")
    record = read_json(folder / "run.json")
    hr = skip_plan.paths.dataset("photos_test") / "HR" / "chelsea.png"
    assert read_image(folder / "chelsea.png").shape == read_image(hr).shape
    assert [book["size"] for book in record["codes"]["codebooks"]] == [16]
    assert 0 <= record["codes"]["accuracy"] <= 1
    # A measure of tokenizers: of the reconstruction that the same training left, not of super-resolution.
    assert record["codes"]["redundancy"] is None
    reconstructed = read_json(skip_plan.paths.images("vq_rec", 0, "photos_test") / "run.json")
    assert reconstructed["codes"]["redundancy"] < 1
