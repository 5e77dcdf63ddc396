"""FeMaSR: what each training moves, where gradients stop, and images of any size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.conftest import TINY
from tests.untrained import batch, gradients, run_of, untrained, untrained_vgg19
from tvqsr.contract import Stage, Trained
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.load(str(TINY), {"entries": ["femasr", "femasr_rec"]})


@pytest.fixture
def hq(plan: Plan) -> Stage:
    return untrained(run_of(plan, "femasr", "hq"))[0]


@pytest.fixture
def lq(plan: Plan) -> Stage:
    return untrained(run_of(plan, "femasr", "lq"))[0]


def moved(stage: Stage, term: str) -> set[str]:
    """Parts of the generator's networks, two levels deep, that get a gradient from a term alone."""
    gradients(stage, term)
    return {
        ".".join(name.split(".")[1:3])
        for name, parameter in stage.networks.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.any())
    }


def test_only_the_quantisers_loss_moves_the_codebook(hq: Stage) -> None:
    assert set(hq.losses("generator", batch(), 0)) == {"pixel", "gan", "vq"}
    assert "tokenizer.prior" in gradients(hq, "vq")
    assert moved(hq, "vq") & {"prior.quantizer", "prior.after", "prior.decoder"} == {"prior.quantizer"}
    assert moved(hq, "pixel") & {"prior.quantizer", "prior.after", "prior.decoder"} == {"prior.after", "prior.decoder"}
    assert gradients(hq, "pixel") == {"tokenizer.encoder", "tokenizer.before", "tokenizer.prior"}


def test_the_semantic_term_moves_encoder_and_head(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.vgg19", untrained_vgg19)
    run = run_of(plan, "femasr", "hq")
    stage = load_plugin(run.method).stage("hq", dict(run.settings) | {"semantic_weight": 0.2}, {})
    assert stage.players["generator"] == ("tokenizer", "semantic")
    assert gradients(stage, "semantic") == {"tokenizer.encoder", "tokenizer.before", "semantic.0"}
    features: Any = stage.features
    tokenizer: Any = stage.networks["tokenizer"]
    with torch.no_grad():
        guess = stage.networks["semantic"](tokenizer.encode(batch().hr).codes)
        expected = 0.2 * (guess - features(batch().hr)).square().mean().item()
    assert stage.losses("generator", batch(), 0)["semantic"].item() == pytest.approx(expected, rel=1e-5)
    assert not any(name.startswith("features") for name in stage.networks.state_dict())


def test_features_are_matched_before_the_codebook_and_shortcuts_go_round_it(lq: Stage) -> None:
    assert set(lq.losses("generator", batch(), 0)) == {"pixel", "gan", "feature"}
    matched = {"encoder.down", "encoder.swin", "before.weight", "before.bias"}
    assert moved(lq, "feature") == matched
    assert moved(lq, "pixel") == matched | {"encoder.to_quarter", "encoder.to_half"}


def test_the_wanted_codes_are_those_of_hr(lq: Stage) -> None:
    network, tokenizer = lq.networks["lq"], lq.tokenizer
    assert isinstance(tokenizer, nn.Module)
    reference: Any = tokenizer
    with torch.no_grad():
        codes = reference.prior.quantizer.lookup(reference.indices(batch().hr))
        found, _ = network(batch().lr)
        a, b = (x.flatten(2).double() for x in (found, codes))
        styles = (a @ a.mT - b @ b.mT) / a.shape[-1]
        expected = 0.25 * (a - b).square().mean() + styles.square().mean()
    assert lq.losses("generator", batch(), 0)["feature"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_codebook_and_decoder_are_frozen_after_the_first_stage(lq: Stage) -> None:
    frozen = lq.tokenizer
    assert isinstance(frozen, nn.Module)
    for player in lq.players:
        torch.stack(list(lq.losses(player, batch(), 0).values())).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert not {id(p) for p in frozen.parameters()} & {id(p) for p in lq.networks.parameters()}


def test_the_second_stage_starts_from_the_firsts_discriminator_and_projection(plan: Plan) -> None:
    run = run_of(plan, "femasr", "lq")
    needs = {"hq": untrained(run.needs["hq"])[1]}
    torch.manual_seed(123)
    stage = load_plugin(run.method).stage("lq", run.settings, needs)
    weights = needs["hq"].weights
    for key, value in stage.networks["discriminator"].state_dict().items():
        assert torch.equal(value, weights[f"discriminator.{key}"])
    assert torch.equal(stage.networks["lq"].state_dict()["before.weight"], weights["tokenizer.before.weight"])


@pytest.mark.parametrize("stage_name", ["hq", "lq"])
def test_each_player_moves_its_own(plan: Plan, stage_name: str) -> None:
    stage = untrained(run_of(plan, "femasr", stage_name))[0]
    stage.losses("generator", batch(), 0)
    stage.zero_grad()
    torch.stack(list(stage.losses("discriminator", batch(), 0).values())).sum().backward()
    touched = {name.split(".")[0] for name, p in stage.networks.named_parameters() if p.grad is not None}
    assert touched == {"discriminator"}


@pytest.mark.parametrize("size", [(2, 2), (18, 14), (16, 16), (30, 44)])
def test_images_of_any_even_size_are_decoded_from_the_codes_told(plan: Plan, size: tuple[int, int]) -> None:
    run = run_of(plan, "femasr", "lq")
    model: Any = load_plugin(run.method).upscaler(untrained(run)[1])
    # Only odd sides are extended before the authors' own padding.
    assert model.multiple == 2
    height, width = size
    torch.manual_seed(0)
    lr = torch.rand(2, 3, height, width)
    with torch.no_grad():
        sr = model(lr)
        assert sr.shape == (2, 3, 4 * height, 4 * width)
        assert torch.allclose(sr, torch.cat([model(image[None]) for image in lr]), atol=1e-4)
        (indices,) = model.codes(lr)
        assert indices.shape == (2, height // 2, width // 2)
        (of_hr,) = model.codes_of_hr(torch.rand(2, 3, 4 * height, 4 * width))
        assert of_hr.shape == indices.shape
    assert [(book.size, book.stride) for book in model.codebooks] == [(16, 8)]


def test_a_reconstruction_is_decoded_from_the_codes_told(plan: Plan) -> None:
    run = run_of(plan, "femasr", "hq")
    model: Any = load_plugin(run.method).upscaler(untrained(run)[1])
    hr = torch.rand(1, 3, 40, 72)
    with torch.no_grad():
        indices = model.codes(hr)
        assert indices[0].shape == (1, 5, 9)
        assert model(hr).shape == hr.shape
        # At the upper left the padding is out of the decoder's sight.
        near = model.tokenizer.prior(model.code_vectors(indices))[..., :8, :8]
        assert torch.allclose(model(hr)[..., :8, :8], near, atol=1e-5)


def test_a_released_lq_stage_decodes_with_its_own_prior(plan: Plan) -> None:
    run = run_of(plan, "femasr", "lq")
    trained, plugin = untrained(run)[1], load_plugin(run.method)
    of_hq = {key: value for key, value in trained.needs["hq"].weights.items() if key.startswith("tokenizer.prior.")}
    own = {key.removeprefix("tokenizer."): value for key, value in of_hq.items()}
    white = own | {key: torch.zeros_like(own[key]) for key in own if key.startswith("prior.decoder.out.")}
    white["prior.decoder.out.bias"] += 1
    released = Trained("lq", trained.settings, {**trained.weights, **white}, trained.needs)
    with torch.no_grad():
        assert bool((plugin.upscaler(released)(torch.rand(1, 3, 8, 8)) == 1).all())
        assert not bool((plugin.upscaler(trained)(torch.rand(1, 3, 8, 8)) == 1).all())


def test_the_published_training_is_the_released_one() -> None:
    stages = load_method("femasr", "here").spec.stages
    for stage in stages.values():
        assert (stage.training.learning_rate, stage.training.discriminator_learning_rate) == (1e-4, 4e-4)
        assert (stage.training.ema, stage.training.betas, stage.training.schedule) == (0, (0.9, 0.99), "constant")
    hq = {name: setting.default for name, setting in stages["hq"].settings.items()}
    assert (hq["codebook_size"], hq["code_channels"], hq["semantic_weight"], hq["gan_weight"]) == (1024, 512, 0.1, 0.1)


@pytest.mark.parametrize(("method", "entry"), [("femasr", "femasr_published"), ("adacode", "adacode")])
def test_the_full_reproduction_is_of_bsrgans_degradation(method: str, entry: str) -> None:
    plan = Plan.load("paper", {"entries": [entry, entry.replace(method, f"{method}_rec")]})
    assert all(testset.endswith("_bsrgan") for testset in plan.test_sets(entry))
    published = load_method(method, "here").spec.stages
    assert {run.stage for run in plan.runs.values()} == set(published)
    for run in plan.runs.values():
        assert (run.dataset, run.training) == ("df2k", published[run.stage].training)
        assert (run.training.crop, run.training.degradation) == ("rescaled", "bsrgan")


def test_several_codebooks_are_compared_with_one_of_the_same_budget() -> None:
    plan = Plan.load("paper", {"entries": "all"})
    budgets = []
    for name in plan.tables["mixed_codebooks"].entries:
        run = plan.entries[name].run
        assert run is not None
        budgets.append([(stage.training, stage.dataset) for stage in run.lineage()])
    longest = max(budgets, key=len)
    assert len(budgets) == 5 and all(budget == longest[: len(budget)] for budget in budgets)
