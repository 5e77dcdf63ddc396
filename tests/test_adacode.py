"""AdaCode: the mix of bases, its contrastive term, what each training moves, and images of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import TINY
from tests.untrained import batch, gradients, run_of, untrained, untrained_vgg19
from tvqsr.contract import Stage
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plugins import load_plugin
from tvqsr.upscale.codes import CodeUse


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.load(str(TINY), {"entries": ["adacode", "adacode_rec"]})


@pytest.fixture
def first(plan: Plan) -> Stage:
    return untrained(run_of(plan, "adacode", "bases_and_mix"))[0]


@pytest.fixture
def sr(plan: Plan) -> Stage:
    return untrained(run_of(plan, "adacode", "sr"))[0]


def part(module: str) -> Any:
    """A module of the plugin, once it was loaded."""
    import importlib

    from tvqsr.plan.method import load_method

    load_plugin(load_method("adacode", "here"))
    return importlib.import_module(f"tvqsr_method_adacode.{module}")


def test_the_contrastive_term_by_its_definition() -> None:
    torch.manual_seed(0)
    features, target = torch.randn(3, 4, 2, 5, requires_grad=True), torch.randn(3, 4, 2, 5, requires_grad=True)
    loss = part("contrast").contrastive_loss(features, target)
    maps = torch.cat([features, target]).detach().double().numpy().reshape(6, 4, 10)

    def likeness(i: int, j: int) -> float:
        cosines = [
            maps[i, :, p] @ maps[j, :, p] / np.linalg.norm(maps[i, :, p]) / np.linalg.norm(maps[j, :, p])
            for p in range(10)
        ]
        return math.exp(np.mean(cosines) / 0.5)

    expected = 0.0
    for i in range(6):
        against = sum(likeness(i, j) for j in range(6) if j != i)
        expected -= math.log(likeness(i, (i + 3) % 6) / against) / 6
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert features.grad is not None and bool(features.grad.any())
    assert target.grad is None


def test_features_of_ones_own_image_are_the_least_loss() -> None:
    torch.manual_seed(0)
    target, loss = torch.randn(4, 8, 3, 3), part("contrast").contrastive_loss
    assert loss(target, target).item() < loss(target.roll(1, 0), target).item()


def test_a_mix_is_the_weighted_sum_of_what_each_basis_gives(first: Stage) -> None:
    tokenizer: Any = first.networks["tokenizer"]
    bases, features = tokenizer.bases, torch.randn(1, 16, 3, 4)
    projected, weights = tokenizer.before(features), torch.randn(1, 3, 3, 4)
    mixed = bases.mix(projected, weights)
    expected = torch.zeros(1, 16, 3, 4)
    for k in range(3):
        codebook = bases.quantizers[k].embedding.weight
        z = tokenizer.before[k](features).permute(0, 2, 3, 1).reshape(-1, 8)
        nearest = torch.cdist(z.double(), codebook.double()).argmin(dim=1)
        assert torch.equal(nearest, mixed.quantized[k].indices[0].flatten())
        codes = codebook[nearest].view(1, 3, 4, 8).permute(0, 3, 1, 2)
        expected = expected + weights[:, k : k + 1] * bases.after[k](codes)
    assert torch.allclose(mixed.fused, expected, atol=1e-5)
    assert [z.shape for z in mixed.to_quantize] == [(1, 8, 3, 4)] * 3


def moved(stage: Stage, term: str) -> set[str]:
    """Parts of the generator's networks, two levels deep, that get a gradient from a term alone."""
    gradients(stage, term)
    return {
        ".".join(name.split(".")[1:3])
        for name, parameter in stage.networks.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.any())
    }


def test_only_the_quantisers_loss_moves_the_bases(first: Stage) -> None:
    assert set(first.losses("generator", batch(), 0)) == {"pixel", "gan", "vq"}
    codebooks = {"bases.quantizers", "bases.after", "bases.decoder"}
    assert moved(first, "vq") & codebooks == {"bases.quantizers"}
    assert moved(first, "pixel") & codebooks == {"bases.after", "bases.decoder"}
    assert {"mix.0", "mix.1"} <= moved(first, "pixel") and not {"mix.0", "mix.1"} & moved(first, "vq")


def test_every_basis_has_its_share_of_the_quantisers_loss(first: Stage) -> None:
    tokenizer: Any = first.networks["tokenizer"]
    with torch.no_grad():
        features = tokenizer.encoder(batch().hr)
        each = [q(z).loss for q, z in zip(tokenizer.bases.quantizers, tokenizer.before(features), strict=True)]
    terms = first.losses("generator", batch(), 0)
    assert terms["vq"].item() == pytest.approx(sum(loss.item() for loss in each), rel=1e-5)
    terms["vq"].backward()
    assert all(bool(q.embedding.weight.grad.any()) for q in tokenizer.bases.quantizers)


def test_every_basis_has_a_semantic_head(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.vgg19", untrained_vgg19)
    run = run_of(plan, "adacode", "bases_and_mix")
    stage = load_plugin(run.method).stage(run.stage, dict(run.settings) | {"semantic_weight": 0.1}, {})
    expected = {"tokenizer.encoder", "tokenizer.before", "semantic.0", "semantic.1", "semantic.2"}
    assert gradients(stage, "semantic") == expected


def test_what_the_terms_of_the_last_stage_move(sr: Stage) -> None:
    assert set(sr.losses("generator", batch(), 0)) == {"pixel", "gan", "vq", "fused", "contrast"}
    encoder = {"encoder.down", "encoder.swin"}
    projections, mix = {f"before.{k}" for k in range(3)}, {"mix.0", "mix.1"}
    assert moved(sr, "contrast") == encoder
    assert moved(sr, "vq") == encoder | projections
    assert moved(sr, "fused") == encoder | projections | mix
    assert moved(sr, "pixel") == encoder | projections | mix | {"encoder.to_quarter", "encoder.to_half"}


def test_what_the_last_stage_is_pulled_towards(sr: Stage) -> None:
    tokenizer: Any = sr.tokenizer
    with torch.no_grad():
        wanted = tokenizer.encoder(batch().hr)
        fused = tokenizer.bases.mix(tokenizer.before(wanted), tokenizer.mix(wanted)).fused
        indices = tokenizer.indices(batch().hr)
        features, mixed = sr.networks["lq"](batch().lr, tokenizer.bases)

    def matching(a: torch.Tensor, b: torch.Tensor) -> float:
        a, b = a.flatten(2).double(), b.flatten(2).double()
        styles = (a @ a.mT - b @ b.mT) / a.shape[-1]
        return float(0.25 * (a - b).square().mean() + styles.square().mean())

    codes = [
        q.embedding.weight[i].permute(0, 3, 1, 2) for q, i in zip(tokenizer.bases.quantizers, indices, strict=True)
    ]
    terms = sr.losses("generator", batch(), 0)
    of_bases = [matching(*pair) for pair in zip(mixed.to_quantize, codes, strict=True)]
    assert terms["vq"].item() == pytest.approx(sum(of_bases), rel=1e-4)
    assert terms["fused"].item() == pytest.approx(matching(mixed.fused, fused), rel=1e-4)
    contrast = part("contrast").contrastive_loss(features.at_eighth, wanted)
    assert terms["contrast"].item() == pytest.approx(contrast.item(), rel=1e-4)


def test_bases_and_decoder_are_frozen_in_the_last_stage(sr: Stage) -> None:
    frozen = sr.tokenizer
    assert isinstance(frozen, nn.Module)
    for player in sr.players:
        torch.stack(list(sr.losses(player, batch(), 0).values())).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert not {id(p) for p in frozen.parameters()} & {id(p) for p in sr.networks.parameters()}


def test_the_last_stage_starts_from_the_firsts_discriminator_projections_and_mix(plan: Plan) -> None:
    run = run_of(plan, "adacode", "sr")
    needs = {"bases_and_mix": untrained(run.needs["bases_and_mix"])[1]}
    torch.manual_seed(123)
    networks = load_plugin(run.method).stage("sr", run.settings, needs).networks
    weights = needs["bases_and_mix"].weights
    for key, value in networks["discriminator"].state_dict().items():
        assert torch.equal(value, weights[f"discriminator.{key}"])
    for key, value in networks["lq"].state_dict().items():
        if key.startswith(("before.", "mix.")):
            assert torch.equal(value, weights[f"tokenizer.{key}"])


@pytest.mark.parametrize("size", [(2, 2), (18, 14), (8, 8), (30, 44)])
def test_images_of_any_even_size_and_the_use_of_each_basis(plan: Plan, size: tuple[int, int]) -> None:
    run = run_of(plan, "adacode", "sr")
    model: Any = load_plugin(run.method).upscaler(untrained(run)[1])
    # Only odd sides are extended before the authors' own padding.
    assert model.multiple == 2
    height, width = size
    torch.manual_seed(0)
    lr, hr = torch.rand(2, 3, height, width), torch.rand(2, 3, 4 * height, 4 * width)
    with torch.no_grad():
        sr = model(lr)
        assert sr.shape == hr.shape
        assert torch.allclose(sr, torch.cat([model(image[None]) for image in lr]), atol=1e-4)
        for indices in (model.codes(lr), model.codes_of_hr(hr)):
            assert [index.shape for index in indices] == [(2, height // 2, width // 2)] * 3
        use = CodeUse(model.codebooks)
        use.add(model, lr[:1], hr[:1], 4)
    told = use.summary()
    assert [book["size"] for book in told["codebooks"]] == [8, 4, 4]
    assert [sum(book["counts"]) for book in told["codebooks"]] == [height * width // 4] * 3
    assert told["bits_per_position"] == 3 + 2 + 2


def test_lr_and_hr_are_padded_to_the_next_whole_window(plan: Plan) -> None:
    """Windows of 4: LR of 16 x 14 to 24 x 16, HR of 40 x 72 to 64 x 96, mirrored with the edge repeated."""
    sr_run, rec_run = (run_of(plan, "adacode", stage) for stage in ("sr", "bases_and_mix"))
    sr: Any = load_plugin(sr_run.method).upscaler(untrained(sr_run)[1])
    rec: Any = load_plugin(rec_run.method).upscaler(untrained(rec_run)[1])
    torch.manual_seed(0)
    lr, hr = torch.rand(1, 3, 16, 14), torch.rand(1, 3, 40, 72)
    with torch.no_grad():
        wide_lr = torch.from_numpy(np.pad(lr.numpy(), ((0, 0), (0, 0), (0, 8), (0, 2)), mode="symmetric"))
        features, mixed = sr.network(wide_lr, sr.bases)
        assert torch.allclose(sr(lr), sr.bases.decoder(mixed.fused, features)[..., :64, :56], atol=1e-5)
        wide_hr = torch.from_numpy(np.pad(hr.numpy(), ((0, 0), (0, 0), (0, 24), (0, 24)), mode="symmetric"))
        assert torch.allclose(rec(hr), rec.tokenizer(wide_hr)[..., :40, :72], atol=1e-5)


def test_a_reconstruction_has_the_size_of_its_image(plan: Plan) -> None:
    run = run_of(plan, "adacode", "bases_and_mix")
    model: Any = load_plugin(run.method).upscaler(untrained(run)[1])
    hr = torch.rand(1, 3, 40, 72)
    with torch.no_grad():
        assert model(hr).shape == hr.shape
        indices = model.codes(hr)
    assert [index.shape for index in indices] == [(1, 5, 9)] * 3
    assert model.code_vectors(indices) is None


@pytest.mark.parametrize("sizes", ["", "512, 256", "512 1", "many"])
def test_sizes_of_bases_are_whole_numbers(plan: Plan, sizes: str) -> None:
    run = run_of(plan, "adacode", "bases_and_mix")
    with pytest.raises(UserError, match=r"codebook_sizes: expected whole numbers from 2"):
        load_plugin(run.method).stage(run.stage, dict(run.settings) | {"codebook_sizes": sizes}, {})
