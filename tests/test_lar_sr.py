"""LAR-SR: its codebook by hand, the order of codes, draws by their frequencies, its LR against MATLAB's."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.conftest import TINY, Command
from tests.untrained import ChangedPreset, batch, gradients, made_from_scratch, run_of, untrained
from tvqsr.contract import Codebook
from tvqsr.data.bicubic import downscale
from tvqsr.data.images import read_image, to_pixels
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

ENTRIES = ["lar_sr", "lar_sr_rec"]


@pytest.fixture
def plan(workspace: object) -> Plan:
    return Plan.load(str(TINY), {"entries": ENTRIES})


def part(name: str) -> Any:
    """A module of the method's folder."""
    load_plugin(load_method("lar_sr", "here"))
    return importlib.import_module(f"tvqsr_method_lar_sr.{name}")


@pytest.fixture
def lar() -> Any:
    """A small module over 5 codes, in evaluation and float64, its batch norms with statistics of their own."""
    torch.manual_seed(0)
    module = part("local_ar")
    network = module.LocalAr(module.LocalArSettings(channels=4, blocks=2, dropout=0.1, argmax_share=0.0), 5)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return network.double().eval()


# The order of codes.


def place(row: int, column: int) -> int:
    """When the code of a position is told: row by row within its patch of 4 x 4."""
    return 4 * (row % 4) + column % 4


@pytest.mark.parametrize("changed", [(0, 0), (1, 2), (6, 5), (3, 7), (7, 3)])
def test_a_code_changes_no_logits_at_its_own_place_or_before(lar: Any, changed: tuple[int, int]) -> None:
    sr = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    indices = torch.randint(5, (1, 8, 8))
    other = indices.clone()
    other[0, *changed] = (other[0, *changed] + 1) % 5
    with torch.no_grad():
        difference = (lar(sr, indices) - lar(sr, other)).abs().amax(dim=(0, 1))
    later = torch.tensor([[place(row, column) > place(*changed) for column in range(8)] for row in range(8)])
    assert not difference[~later].any()
    # Those of its own patch all see it; of other patches those that convolutions over patches reach.
    patch = tuple(slice(4 * (i // 4), 4 * (i // 4) + 4) for i in changed)
    assert bool((difference[patch] > 0).eq(later[patch]).all())


def test_sr_changes_the_logits_of_every_position(lar: Any) -> None:
    indices = torch.randint(5, (1, 8, 8))
    first, second = (torch.rand(1, 3, 16, 16, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        assert bool(((lar(first, indices) - lar(second, indices)).abs().amax(dim=1) > 1e-9).all())


def logits_from_scratch(lar: Any, sr: Tensor, indices: Tensor, position: int) -> Tensor:
    """Logits of one place in all patches, the whole network computed anew and nothing kept: (B, K, h, w)."""
    features = lar.sr_encoder(sr)
    at = [features[:, :, row::4, column::4] for row in range(4) for column in range(4)]
    told = [indices[:, row::4, column::4] for row in range(4) for column in range(4)]
    x = [lar.start(features)]
    for i in range(position):
        code = lar.code(lar.embedding(told[i]).permute(0, 3, 1, 2))
        x.append(lar.merge(torch.cat([code, at[i]], dim=1)))
    for gate in lar.gates:
        made = []
        for i in range(len(x)):
            each = [gate.within[i](x[j]) for j in range(i + 1)]
            made.append(gate.across[i](torch.cat(each, dim=1)))
        x = made
    logits: Tensor = lar.head(torch.cat([x[position], at[position]], dim=1))
    return logits


def test_teacher_forcing_equals_telling_one_place_after_the_other(lar: Any) -> None:
    sr, indices = torch.rand(2, 3, 16, 32, dtype=torch.float64), torch.randint(5, (2, 8, 16))
    with torch.no_grad():
        forced = lar(sr, indices)
        for position in range(16):
            row, column = divmod(position, 4)
            expected = logits_from_scratch(lar, sr, indices, position)
            assert torch.allclose(forced[:, :, row::4, column::4], expected, atol=1e-12)


def test_what_is_sampled_is_sampled_from_its_own_logits(lar: Any) -> None:
    """Of codes chosen greedily, teacher forcing finds each the likeliest given those before it."""
    sr = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        greedy = lar.sample(sr, part("sampling").Sampler(1.0))
        assert torch.equal(lar(sr, greedy).argmax(dim=1), greedy)
        assert not torch.equal(lar.sample(sr, part("sampling").Sampler(0.0)), greedy)


def test_patches_are_cut_and_joined_row_by_row() -> None:
    module = part("local_ar")
    x = torch.arange(2 * 3 * 8 * 12).view(2, 3, 8, 12)
    positions = module.to_positions(x)
    assert all(
        torch.equal(positions[place(r, c)][:, :, 1, 2], x[:, :, 4 + r, 8 + c]) for r in range(4) for c in range(4)
    )
    assert torch.equal(module.from_positions(positions), x)


def test_the_gates_have_the_published_size() -> None:
    """Of 64 channels: at each of 16 places two 3x3 convolutions and a batch norm, and 1x1 from all places so far."""
    gate = part("local_ar").Gate(64, 0.1)
    within = 2 * (9 * 64 + 1) * 64 + 2 * 64
    across = sum(((i + 1) * 64 + 1) * 64 + 65 * 64 for i in range(16))
    assert sum(p.numel() for p in gate.parameters()) == 16 * within + across


# Draws.


def test_draws_are_distributed_as_their_logits_say() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = probabilities.log().view(1, 4, 1, 1).expand(1, 4, 200, 300)
    drawn = part("sampling").Sampler(0.0)(0, logits)
    counts = torch.bincount(drawn.flatten(), minlength=4) / 60000
    assert torch.allclose(counts, probabilities, atol=0.01)
    with_best = torch.bincount(part("sampling").Sampler(0.4)(0, logits).flatten(), minlength=4) / 60000
    assert torch.allclose(with_best, 0.6 * probabilities + 0.4 * torch.tensor([1.0, 0, 0, 0]), atol=0.01)


def test_the_likeliest_is_taken_always_with_a_share_of_one() -> None:
    logits = torch.randn(2, 6, 5, 7)
    assert torch.equal(part("sampling").Sampler(1.0)(0, logits), logits.argmax(dim=1))


def test_draws_of_neighbours_and_of_steps_are_independent() -> None:
    logits = torch.zeros(1, 2, 100, 100)
    sampler = part("sampling").Sampler(0.0)
    first, second = sampler(0, logits)[0].double(), sampler(1, logits)[0].double()
    for a, b in ((first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])):
        assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()) < 0.05


def test_images_are_the_same_on_any_day_and_in_any_batch(plan: Plan) -> None:
    run = run_of(plan, "lar_sr", "lar")
    upscaler = load_plugin(run.method).upscaler(untrained(run)[1]).eval()
    lr = torch.rand(2, 3, 8, 12)
    with torch.no_grad():
        images = upscaler(lr)
        torch.rand(100)
        assert torch.equal(upscaler(lr), images)
        assert torch.allclose(upscaler(lr[1:]), images[1:], atol=1e-5)
        (codes,) = upscaler.codes(lr)
        assert torch.equal(upscaler.codes(lr[1:])[0], codes[1:])
    assert upscaler.codebooks == (Codebook(16, 2),) and codes.shape == (2, 16, 24) and images.shape == (2, 3, 32, 48)


def test_the_image_is_what_the_decoder_makes_of_the_codes(plan: Plan) -> None:
    run = run_of(plan, "lar_sr", "lar")
    upscaler: Any = load_plugin(run.method).upscaler(untrained(run)[1]).eval()
    lr = torch.rand(1, 3, 8, 12)
    with torch.no_grad():
        (codes,) = upscaler.codes(lr)
        vectors = upscaler.vqvae.quantizer.codes[codes].permute(0, 3, 1, 2)
        sr = upscaler.generator(lr)
        residual = upscaler.vqvae.decoder(torch.cat([upscaler.vqvae.sr_encoder(sr), vectors], dim=1))
        assert torch.allclose(upscaler(lr), sr + residual, atol=1e-6)


# The codebook of running means.


def test_codes_are_running_means_of_what_chose_them() -> None:
    """Two steps against float64 by the formula: decay 0.99, Laplace smoothing of counts."""
    torch.manual_seed(0)
    quantizer = part("quantizer").TextureQuantizer(size=4, dim=3, stride=2)
    codes = quantizer.codes.double().numpy().copy()
    sums, counts = codes.copy(), np.ones(4)
    for step in range(2):
        features = torch.randn(2, 3, 4, 4)
        vectors = features.permute(0, 2, 3, 1).reshape(-1, 3).double().numpy()
        chosen = ((vectors[:, None] - codes[None]) ** 2).sum(axis=2).argmin(axis=1)
        quantized = quantizer(features, step)
        assert np.array_equal(quantized.indices[0].flatten().numpy(), chosen)
        assert quantized.loss.item() == pytest.approx(((vectors - codes[chosen]) ** 2).mean(), rel=1e-5)
        of_code = np.eye(4)[chosen]
        counts = 0.99 * counts + 0.01 * of_code.sum(axis=0)
        sums = 0.99 * sums + 0.01 * of_code.T @ vectors
        smoothed = (counts + 1e-5) / (counts.sum() + 4e-5) * counts.sum()
        codes = sums / smoothed[:, None]
        assert np.allclose(quantizer.codes.numpy(), codes, rtol=1e-4)


def test_codes_rest_in_inference_and_have_no_gradient() -> None:
    torch.manual_seed(0)
    quantizer = part("quantizer").TextureQuantizer(size=4, dim=3, stride=2)
    before = quantizer.codes.clone()
    features = torch.randn(1, 3, 4, 4, requires_grad=True)
    quantized = quantizer(features)
    assert torch.equal(quantizer.codes, before) and not list(quantizer.parameters())
    assert torch.equal(quantizer.lookup(quantized.indices), before[quantized.indices[0]].permute(0, 3, 1, 2))
    (straight,) = torch.autograd.grad(quantized.codes.sum(), features, retain_graph=True)
    assert torch.equal(straight, torch.ones_like(features))
    (commitment,) = torch.autograd.grad(quantized.loss, features)
    towards = features.detach() - quantizer.lookup(quantized.indices)
    assert torch.allclose(commitment, 2 * towards / towards.numel(), atol=1e-7)


def test_codes_are_filled_from_features_before_they_are_used() -> None:
    quantizer = part("quantizer").TextureQuantizer(size=20, dim=3, stride=2, quantize_from=20)
    features = torch.rand(2, 3, 8, 8) + 5
    for step in range(20):
        quantized = quantizer(features, step)
        assert torch.equal(quantized.codes, features) and quantized.loss == 0
    vectors = features.permute(0, 2, 3, 1).reshape(-1, 3)
    assert all((vectors == code).all(dim=1).any() for code in quantizer.codes)
    assert torch.equal(quantizer.sums, quantizer.codes) and bool((quantizer.counts == 1).all())
    assert not torch.equal(quantizer(features, 20).codes, features)


# The trainings.


def test_its_lr_is_matlabs(photo: Path) -> None:
    pixels = read_image(photo)[:68, :88]
    unit = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    found = to_pixels(part("lr").lr_of(unit)[0].permute(1, 2, 0).numpy())
    expected = downscale(pixels, 4)
    assert found.shape == expected.shape
    # A few values half-way between two steps may be rounded the other way.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1 and (found != expected).mean() < 0.01


def test_what_the_tokenizers_losses_move(plan: Plan) -> None:
    stage = untrained(run_of(plan, "lar_sr", "tokenizer"))[0]
    assert gradients(stage, "pixel") == {"vqvae.texture_encoder", "vqvae.sr_encoder", "vqvae.decoder"}
    assert gradients(stage, "commit") == {"vqvae.texture_encoder"}
    regression = stage.regression
    assert isinstance(regression, nn.Module)
    assert not any(p.requires_grad for p in regression.parameters())


def test_the_tokenizers_losses_are_as_weighted(plan: Plan) -> None:
    stage: Any = untrained(run_of(plan, "lar_sr", "tokenizer"))[0]
    hr = batch().hr
    vqvae = stage.networks["vqvae"]
    sr = stage.regression(batch().lr)
    quantized = vqvae.encode(hr, sr)
    terms = stage.losses("generator", batch(), 0)
    image = vqvae.decode(quantized.codes, sr)
    assert terms["pixel"].item() == pytest.approx((image - hr).square().mean().item(), rel=1e-5)
    assert terms["commit"].item() == pytest.approx(0.25 * quantized.loss.item(), rel=1e-5)


def test_the_module_learns_the_indices_of_the_trained_tokenizer(plan: Plan) -> None:
    stage: Any = untrained(run_of(plan, "lar_sr", "lar"))[0]
    stage.eval()
    given = batch()
    sr = stage.regression(given.lr)
    # Codes as far apart as features are, or all positions would choose the same one.
    quantizer = stage.vqvae.quantizer
    features = stage.vqvae.texture_encoder(torch.cat([given.hr, sr], dim=1))
    for sixteenth in range(quantizer.FILL_STEPS):
        quantizer.fill(features.detach(), sixteenth)
    (truth,) = stage.vqvae.indices(given.hr, sr)
    assert truth.shape == (2, 32, 32) and len(truth.unique()) > 1
    expected = F.cross_entropy(stage.networks["lar"](sr, truth), truth)
    assert stage.losses("generator", given, 0)["index"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert {name.split(".")[0] for name in gradients(stage, "index")} == {"lar"}
    assert not any(p.requires_grad for net in (stage.regression, stage.vqvae) for p in net.parameters())


def test_a_training_step_moves_the_codes_and_upscaling_does_not(plan: Plan) -> None:
    run = run_of(plan, "lar_sr", "tokenizer")
    stage, trained = untrained(run)
    quantizer: Any = stage.networks["vqvae"].quantizer
    before = quantizer.codes.clone()
    stage.losses("generator", batch(), 0)
    assert not torch.equal(quantizer.codes, before)
    upscaler: Any = load_plugin(run.method).upscaler(trained)
    upscaler(torch.rand(1, 3, 32, 48))
    assert torch.equal(upscaler.vqvae.quantizer.codes, before)


def test_it_is_trained_and_makes_images_with_codes(preset: ChangedPreset, photo: Path, tvqsr: Command) -> None:
    def small(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"folder": str(photo.parent)}

    plan = Plan.load(str(preset(small)), {"entries": ENTRIES})
    run = plan.entry("lar_sr").run
    assert run is not None
    made_from_scratch(plan, tvqsr, run, ENTRIES)
    sampled, rec = (read_json(plan.paths.images(entry, 0, "photos_test") / "run.json")["codes"] for entry in ENTRIES)
    for entry in ENTRIES:
        assert read_image(plan.paths.images(entry, 0, "photos_test") / "cat.png").shape == (68, 88, 3)
    assert sampled["codebooks"][0]["size"] == 16 and sampled["stride"] == 2
    assert sum(sampled["codebooks"][0]["counts"]) == sum(rec["codebooks"][0]["counts"]) == 34 * 44
    assert 0 <= sampled["accuracy"] <= 1
