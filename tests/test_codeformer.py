"""CodeFormer-style prediction: attention from its definition, what losses move, where codes come from."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tests.conftest import TINY, Command
from tests.untrained import ChangedPreset, batch, gradients, made_from_scratch, run_of, untrained
from tvqsr.contract import Stage, Trained
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

ENTRIES = ["vq_rec", "codeformer", "codeformer_fused"]


@pytest.fixture
def plan(workspace: object) -> Plan:
    return Plan.load(str(TINY), {"entries": ENTRIES})


def part(name: str) -> Any:
    """A module of the method's folder."""
    load_plugin(load_method("codeformer", "here"))
    return importlib.import_module(f"tvqsr_method_codeformer.{name}")


def attention_by_loops(layer: Any, x: Tensor, position: Tensor, window: int) -> Tensor:
    """One layer's attention on (h, w, dim), a query at a time: those of its window that exist, and nobody else."""
    heads, dim = layer.attention.num_heads, x.shape[-1]
    value = layer.norm1(x)
    place = torch.stack(
        [
            torch.stack([position[(r % window) * window + c % window] for c in range(x.shape[1])])
            for r in range(x.shape[0])
        ]
    )
    weight, bias = layer.attention.in_proj_weight, layer.attention.in_proj_bias
    queries, keys, values = (
        F.linear(given, weight[i * dim : (i + 1) * dim], bias[i * dim : (i + 1) * dim]).unflatten(-1, (heads, -1))
        for i, given in enumerate((value + place, value + place, value))
    )
    out = torch.zeros_like(x)
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            near = [
                (i, j)
                for i in range(x.shape[0])
                for j in range(x.shape[1])
                if (i // window, j // window) == (r // window, c // window)
            ]
            told = []
            for head in range(heads):
                logits = torch.stack([queries[r, c, head] @ keys[i, j, head] for i, j in near]) / (dim / heads) ** 0.5
                told.append(logits.softmax(0) @ torch.stack([values[i, j, head] for i, j in near]))
            out[r, c] = layer.attention.out_proj(torch.cat(told))
    return out


@pytest.mark.parametrize("size", [(4, 4), (8, 4), (3, 4), (5, 7)])
def test_positions_attend_within_their_window_whatever_the_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    transformer = part("transformer").WindowedTransformer(channels=6, dim=8, heads=2, layers=2, window=4).double()
    nn.init.normal_(transformer.position)
    features = torch.randn(2, 6, *size, dtype=torch.float64)
    with torch.no_grad():
        found = transformer(features)
        for image, expected in zip(features, found, strict=True):
            x = transformer.embed(image.permute(1, 2, 0))
            for layer in transformer.layers:
                x = x + attention_by_loops(layer, x, transformer.position, 4)
                x = x + layer.mlp(layer.norm2(x))
            assert torch.allclose(x.permute(2, 0, 1), expected, atol=1e-10)


def test_the_published_transformer_has_codeformers_size() -> None:
    """Nine layers: attention of 4 x 512^2 weights, MLP of 2 x 512 x 1024, biases, norms; 256 places of 512."""
    transformer = part("transformer").WindowedTransformer(256, 512, 8, 9, 16)
    layer = 4 * 512**2 + 4 * 512 + 2 * 512 * 1024 + 1024 + 512 + 4 * 512
    assert sum(p.numel() for p in transformer.parameters()) == 9 * layer + 256 * 512 + 256 * 512 + 512
    settings = load_method("codeformer", "here").spec.stages["predictor"].settings
    assert [settings[name].default for name in ("dim", "heads", "layers")] == [512, 8, 9]


def test_lr_is_enlarged_by_keys_kernel() -> None:
    """As Pillow enlarges, whose kernel has a = -0.5, too."""
    small = np.random.default_rng(0).random((9, 13), dtype=np.float32)
    expected = np.asarray(Image.fromarray(small).resize((52, 36), Image.Resampling.BICUBIC))
    found = part("predictor").enlarged(torch.from_numpy(small).expand(1, 3, -1, -1))
    assert torch.allclose(found[0, 1], torch.from_numpy(expected.copy()), atol=1e-5)


def test_the_encoder_starts_as_the_trained_tokenizers(plan: Plan) -> None:
    """So that, given HR in LR's place, the predictor's features are those that the tokenizer quantises."""
    run = run_of(plan, "codeformer", "predictor")
    needs = {name: untrained(need)[1] for name, need in run.needs.items()}
    torch.manual_seed(5)
    stage = load_plugin(run.method).stage("predictor", run.settings, needs)
    predictor: Any = stage.networks["predictor"]
    tokenizer: Any = stage.tokenizer
    real = 2 * batch().hr - 1
    found, expected = predictor.before(predictor.encoder(real)), tokenizer.before(tokenizer.encoder(real))
    assert torch.allclose(found, expected, atol=1e-5)
    for key, value in predictor.encoder.state_dict().items():
        assert torch.equal(value, needs["vq.tokenizer"].weights[f"tokenizer.encoder.{key}"])


def test_target_indices_are_the_trained_tokenizers(plan: Plan) -> None:
    """CodeFormer's released settings leave the network that makes them at random weights (its issue 304)."""
    run = run_of(plan, "codeformer", "predictor")
    stage, trained = untrained(run)
    vq = run.needs["vq.tokenizer"]
    own = load_plugin(vq.method).upscaler(trained.needs["vq.tokenizer"])
    (truth,) = own.codes(batch().hr)
    assert len(truth.unique()) > 1
    logits, features = stage.networks["predictor"](2 * batch().lr - 1)
    codebook = trained.needs["vq.tokenizer"].weights["tokenizer.quantizer.embedding.weight"]
    terms = stage.losses("generator", batch(), 0)
    assert terms["index"].item() == pytest.approx(0.5 * F.cross_entropy(logits[0], truth).item(), rel=1e-5)
    towards = codebook[truth].permute(0, 3, 1, 2)
    assert terms["feature"].item() == pytest.approx((features - towards).square().mean().item(), rel=1e-5)


def test_what_the_losses_of_the_predictor_move(plan: Plan) -> None:
    stage = untrained(run_of(plan, "codeformer", "predictor"))[0]
    encoder = {"predictor.encoder", "predictor.before"}
    assert gradients(stage, "feature") == encoder
    assert gradients(stage, "index") >= {*encoder, "predictor.transformer", "predictor.norm", "predictor.linear"}
    assert frozen(stage)


def test_image_losses_move_the_fusion_alone(plan: Plan) -> None:
    stage = untrained(run_of(plan, "codeformer", "fusion"))[0]
    moved = {name for name in gradients(stage, "pixel", "gan") if not name.startswith("discriminator.")}
    assert moved == {"fusion.at_quarter", "fusion.at_half"}
    assert {name.split(".")[0] for name in gradients(stage, "index", "feature")} == {"predictor"}
    assert frozen(stage)


def frozen(stage: Stage) -> bool:
    """Whether neither codebook nor decoder move."""
    assert isinstance(stage.tokenizer, nn.Module)
    parameters = list(stage.tokenizer.parameters())
    moved = {id(p) for player in stage.players for p in stage.moved_by(player).parameters()}
    return not any(p.requires_grad or p.grad is not None or id(p) in moved for p in parameters)


def test_the_adaptive_weight_is_clamped_at_one(plan: Plan) -> None:
    """A new discriminator pulls weakly, so that unclamped the weight would be far above one."""
    stage = untrained(run_of(plan, "codeformer", "fusion"))[0]
    terms = stage.losses("generator", batch(), 0)
    loss: Any = stage.loss
    fake, discriminator = loss._fake, stage.networks["discriminator"]
    assert terms["gan"].item() == pytest.approx(-0.1 * discriminator(fake).mean().item(), rel=1e-4)
    hinges = (1 - discriminator(2 * batch().hr - 1)).relu().mean() + (1 + discriminator(fake)).relu().mean()
    assert stage.losses("discriminator", batch(), 0)["hinge"].item() == pytest.approx(hinges.item() / 2, rel=1e-5)
    assert terms["pixel"].item() == pytest.approx((fake - 2 * batch().hr + 1).abs().mean().item(), rel=1e-5)


def test_the_gan_term_starts_when_it_is_told(preset: ChangedPreset) -> None:
    def later(content: dict[str, Any]) -> None:
        content["methods"]["codeformer"]["fusion"]["settings"]["gan_start"] = 3

    stage = untrained(run_of(Plan.load(str(preset(later)), {"entries": ENTRIES}), "codeformer", "fusion"))[0]
    assert "gan" not in stage.losses("generator", batch(), 2) and stage.losses("discriminator", batch(), 2) == {}
    assert "gan" in stage.losses("generator", batch(), 3) and "hinge" in stage.losses("discriminator", batch(), 3)


def images(plan: Plan, lr: Tensor, **settings: float) -> Tensor:
    run = run_of(plan, "codeformer", "fusion")
    trained = replace(untrained(run)[1], settings={**run.settings, **settings})
    with torch.no_grad():
        return load_plugin(run.method).upscaler(trained)(lr)


def test_without_fidelity_the_fused_image_is_that_of_codes_alone(plan: Plan) -> None:
    fusion = untrained(run_of(plan, "codeformer", "fusion"))[1]
    run = run_of(plan, "codeformer", "predictor")
    weights = {key: value for key, value in fusion.weights.items() if key.startswith("predictor.")}
    plain = load_plugin(run.method).upscaler(
        Trained("predictor", run.settings, weights, fusion.needs["predictor"].needs)
    )
    lr = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected = plain(lr)
    assert torch.equal(images(plan, lr, fidelity=0.0), expected)
    assert not torch.allclose(images(plan, lr, fidelity=1.0), expected, atol=1e-3)


def test_each_modulation_scales_and_shifts() -> None:
    """With the last convolutions at constants s and t, features become x + w (x s + t)."""
    module = part("fusion")
    shape = untrained_shape()
    modulation = module.Modulation(shape, 8)
    for branch, constant in ((modulation.scale, 0.5), (modulation.shift, 0.25)):
        nn.init.zeros_(branch[-1].weight)
        nn.init.constant_(branch[-1].bias, constant)
    x = torch.randn(1, 8, 5, 6)
    assert torch.allclose(modulation(x, torch.randn_like(x), 0.8), x + 0.8 * (0.5 * x + 0.25), atol=1e-6)


def untrained_shape() -> Any:
    from tvqsr.nn.autoencoder import Shape

    return Shape(width=4, depth=1, norm="channel", heads=2, window=4)


def test_heads_that_do_not_divide_are_named(preset: ChangedPreset) -> None:
    def three(content: dict[str, Any]) -> None:
        content["methods"]["codeformer"]["predictor"]["settings"]["heads"] = 3

    with pytest.raises(UserError, match="heads: 3 do not divide dim 8"):
        untrained(run_of(Plan.load(str(preset(three)), {"entries": ENTRIES}), "codeformer", "predictor"))


@pytest.mark.parametrize(("quantizer", "strides"), [("rq", (8, 8)), ("hierarchical", (16, 8))])
def test_several_codebooks_are_predicted_side_by_side(
    preset: ChangedPreset, quantizer: str, strides: tuple[int, int]
) -> None:
    def change(content: dict[str, Any]) -> None:
        several = {"quantizer": quantizer, "codebook_size": 8, "codebook_count": 2}
        content["methods"]["vq"]["tokenizer"]["settings"].update(several)

    run = run_of(Plan.load(str(preset(change)), {"entries": ENTRIES}), "codeformer", "predictor")
    stage, trained = untrained(run)
    terms = stage.losses("generator", batch(), 0)
    logits, features = stage.networks["predictor"](2 * batch().lr - 1)
    tokenizer: Any = stage.tokenizer
    truth = tokenizer.indices(2 * batch().hr - 1)
    assert [part.shape for part in logits] == [(2, 8, 64 // stride, 64 // stride) for stride in strides]
    entropies = [F.cross_entropy(*pair).item() for pair in zip(logits, truth, strict=True)]
    assert terms["index"].item() == pytest.approx(0.5 * sum(entropies) / 2, rel=1e-5)
    towards = tokenizer.quantizer.lookup(truth)
    assert terms["feature"].item() == pytest.approx((features - towards).square().mean().item(), rel=1e-5)
    codes = load_plugin(run.method).upscaler(trained).codes(torch.rand(1, 3, 32, 64))
    assert [part.shape for part in codes] == [(1, 128 // stride, 256 // stride) for stride in strides]


def test_it_is_trained_and_makes_images_with_codes(preset: ChangedPreset, photo: Path, tvqsr: Command) -> None:
    def small(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"folder": str(photo.parent)}

    plan = Plan.load(str(preset(small)), {"entries": ENTRIES})
    run = plan.entry("codeformer_fused").run
    assert run is not None
    made_from_scratch(plan, tvqsr, run, ENTRIES[1:])
    for entry in ENTRIES[1:]:
        folder = plan.paths.images(entry, 0, "photos_test")
        assert read_image(folder / "cat.png").shape == (68, 88, 3)
        codes = read_json(folder / "run.json")["codes"]
        assert codes["codebooks"][0]["size"] == 16 and 0 <= codes["accuracy"] <= 1
