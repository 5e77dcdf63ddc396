"""What each training of TVQ&RAP and of vanilla VQ moves, and where gradients stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.untrained import batch, gradients, run_of, untrained, weights_of
from tvqsr.contract import Stage, Trained
from tvqsr.plan import Plan
from tvqsr.plugins import load_plugin


@pytest.fixture
def stage_of(tiny_plan: Plan) -> Callable[[str, str], Stage]:
    def build(method: str, stage: str) -> Stage:
        return untrained(run_of(tiny_plan, method, stage))[0]

    return build


TOKENIZER = {"texture_encoder", "structure_encoder", "structure_path", "fusion", "image_path"}


def test_tokenizer_alignment_pulls_on_the_encoder_and_never_on_x_down(stage_of: Callable[[str, str], Stage]) -> None:
    stage = stage_of("tvqrap", "tokenizer")
    assert gradients(stage, "align") == {"tokenizer.texture_encoder", "tokenizer.structure_encoder"}


def test_x_down_is_reconstructed_by_its_own_auto_encoder(stage_of: Callable[[str, str], Stage]) -> None:
    parts = gradients(stage_of("tvqrap", "tokenizer"), "x_down")
    assert {part.split(".")[0] for part in parts} == {"x_down_encoder", "x_down_decoder"}


def test_pixel_loss_reaches_the_whole_tokenizer_but_not_the_codebook(stage_of: Callable[[str, str], Stage]) -> None:
    assert gradients(stage_of("tvqrap", "tokenizer"), "pixel") == {f"tokenizer.{part}" for part in TOKENIZER}


def test_only_the_quantiser_loss_moves_the_codebook(stage_of: Callable[[str, str], Stage]) -> None:
    parts = gradients(stage_of("tvqrap", "tokenizer"), "vq")
    assert "tokenizer.quantizer" in parts
    assert "tokenizer.image_path" not in parts


def test_cross_entropy_does_not_reach_the_structure_branch(stage_of: Callable[[str, str], Stage]) -> None:
    stage = stage_of("tvqrap", "predictor")
    assert gradients(stage, "index") == {"predictor.lr_encoder", "predictor.head"}
    assert gradients(stage, "structure") == {"predictor.lr_encoder", "predictor.structure_encoder"}


def test_image_losses_reach_both_branches_of_the_predictor(stage_of: Callable[[str, str], Stage]) -> None:
    parts = gradients(stage_of("tvqrap", "rap"), "pixel")
    assert parts == {"predictor.lr_encoder", "predictor.head", "predictor.structure_encoder"}


@pytest.mark.parametrize("stage_name", ["predictor", "rap"])
def test_decoder_and_codebook_are_frozen_after_stage_1(stage_of: Callable[[str, str], Stage], stage_name: str) -> None:
    stage = stage_of("tvqrap", stage_name)
    frozen = stage.tokenizer
    assert isinstance(frozen, nn.Module)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    moved = {id(p) for player in stage.players for p in stage.moved_by(player).parameters()}
    assert not moved & {id(p) for p in frozen.parameters()}
    for player in stage.players:
        torch.stack(list(stage.losses(player, batch(), 0).values())).sum().backward()
    assert all(parameter.grad is None for parameter in frozen.parameters())


@pytest.mark.parametrize(("method", "stage_name"), [("tvqrap", "tokenizer"), ("tvqrap", "rap"), ("vq", "tokenizer")])
def test_each_player_moves_its_own(stage_of: Callable[[str, str], Stage], method: str, stage_name: str) -> None:
    stage = stage_of(method, stage_name)
    assert list(stage.players) == ["generator", "discriminator"]
    generator, discriminator = (
        {id(p) for p in stage.moved_by(player).parameters()} for player in ("generator", "discriminator")
    )
    assert not generator & discriminator
    assert generator | discriminator == {id(p) for p in stage.networks.parameters()}
    stage.losses("generator", batch(), 0)
    stage.zero_grad()
    torch.stack(list(stage.losses("discriminator", batch(), 0).values())).sum().backward()
    touched = {id(p) for p in stage.networks.parameters() if p.grad is not None}
    assert touched == discriminator


@pytest.mark.parametrize(
    ("method", "stage_name", "player", "moving"),
    [
        ("tvqrap", "tokenizer", "generator", {"tokenizer", "x_down_encoder", "x_down_decoder"}),
        ("tvqrap", "tokenizer", "discriminator", {"discriminator"}),
        ("tvqrap", "predictor", "generator", {"predictor"}),
        ("tvqrap", "rap", "generator", {"predictor"}),
        ("tvqrap", "rap", "discriminator", {"discriminator"}),
        ("vq", "tokenizer", "generator", {"tokenizer"}),
        ("vq", "predictor", "generator", {"predictor"}),
    ],
)
def test_a_step_moves_every_weight_of_the_player_and_no_other(
    stage_of: Callable[[str, str], Stage], method: str, stage_name: str, player: str, moving: set[str]
) -> None:
    stage = stage_of(method, stage_name)
    stage.losses("generator", batch(), 0)
    before = weights_of(stage.networks)
    optimiser = torch.optim.Adam(stage.moved_by(player).parameters(), lr=0.01)
    stage.zero_grad()
    torch.stack(list(stage.losses(player, batch(), 0).values())).sum().backward()
    optimiser.step()
    parameters = dict(stage.networks.named_parameters())
    moved = {name for name, value in parameters.items() if not torch.equal(value, before[name])}
    left = {name for name in parameters if name.split(".")[0] in moving} - moved
    assert {name.split(".")[0] for name in moved} == moving
    # While all logits lie inside the hinge, those of real and fake pull the last bias equally hard either way.
    assert left <= {"discriminator.8.bias"}


def last_convolution(module: nn.Module) -> Tensor:
    return next(part for part in reversed(list(module.modules())) if isinstance(part, nn.Conv2d)).weight


@pytest.mark.parametrize(("method", "stage_name"), [("tvqrap", "tokenizer"), ("vq", "tokenizer"), ("tvqrap", "rap")])
def test_the_gan_term_pulls_three_quarters_as_hard_where_its_weight_is_measured(
    stage_of: Callable[[str, str], Stage], method: str, stage_name: str
) -> None:
    """In stage 1 at the decoder's last convolution, in stage 3 at the index head (facts read off the released code)."""
    stage = stage_of(method, stage_name)
    parameters = dict(stage.networks.named_parameters())
    measured: Tensor
    if stage_name == "rap":
        measured, other = parameters["predictor.head.linear.weight"], parameters["predictor.lr_encoder.0.weight"]
    else:
        measured, other = last_convolution(stage.networks["tokenizer"]), parameters["tokenizer.image_path.1.1.weight"]
    # A new discriminator's pull is so weak that the 1e-4 in the weight's denominator would show.
    last_convolution(stage.networks["discriminator"]).data.mul_(100)
    terms = stage.losses("generator", batch(), 0)

    def pull(term: str, at: Tensor) -> float:
        return torch.autograd.grad(terms[term], at, retain_graph=True)[0].norm().item()

    assert pull("gan", measured) == pytest.approx(0.75 * pull("pixel", measured), rel=0.01)
    assert pull("gan", other) != pytest.approx(0.75 * pull("pixel", other), rel=0.01)


def test_the_discriminators_loss_is_three_eighths_of_both_hinges(stage_of: Callable[[str, str], Stage]) -> None:
    stage = stage_of("tvqrap", "tokenizer")
    stage.losses("generator", batch(), 0)
    loss = stage.losses("discriminator", batch(), 0)
    real = 2 * batch().hr - 1
    with torch.no_grad():
        of_real, of_fake = (stage.networks["discriminator"](x) for x in (real, stage.networks["tokenizer"](real)))
    expected = 0.375 * ((1 - of_real).clamp(min=0).mean() + (1 + of_fake).clamp(min=0).mean())
    assert loss["hinge"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(loss) == {"hinge"}


def test_rap_starts_from_the_predictor_and_a_new_discriminator(tiny_plan: Plan) -> None:
    run = run_of(tiny_plan, "tvqrap", "rap")
    needs = {name: untrained(need)[1] for name, need in run.needs.items()}
    torch.manual_seed(123)
    stage = load_plugin(run.method).stage("rap", run.settings, needs)
    for key, value in stage.networks["predictor"].state_dict().items():
        assert torch.equal(value, needs["predictor"].weights[f"predictor.{key}"])
    tokenizers = needs["tokenizer"].weights
    mine = stage.networks["discriminator"].state_dict()["0.weight"]
    assert not torch.equal(mine, tokenizers["discriminator.0.weight"])


def test_the_gan_term_starts_when_it_is_told(preset: Callable[..., object]) -> None:
    plan = Plan.load(str(preset(lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(gan_start=5))))
    run = run_of(plan, "vq", "tokenizer")
    stage = load_plugin(run.method).stage("tokenizer", run.settings, {})
    assert "gan" not in stage.losses("generator", batch(), 4)
    assert stage.losses("discriminator", batch(), 4) == {}
    assert stage.losses("generator", batch(), 5)["gan"].item() != 0
    assert stage.losses("discriminator", batch(), 5)["hinge"].item() > 0


def test_x_down_is_the_rounded_mean_of_blocks() -> None:
    import importlib

    from tvqsr.plan.method import load_method

    load_plugin(load_method("tvqrap", "here"))
    x_down = importlib.import_module("tvqsr_method_tvqrap.x_down").x_down
    hr = torch.randint(0, 256, (1, 3, 16, 24)).float() / 255
    blocks = hr.view(1, 3, 2, 8, 3, 8).mean(dim=(3, 5))
    assert torch.allclose((x_down(hr) + 1) / 2, torch.round(blocks * 255) / 255, atol=1e-6)


def test_weights_of_another_configuration_are_refused_by_key(tiny_plan: Plan, preset: Callable[..., object]) -> None:
    from tvqsr.errors import UserError

    wide = Plan.load(str(preset(lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(width=8, heads=2))))
    run = run_of(wide, "vq", "tokenizer")
    narrow = run_of(tiny_plan, "vq", "tokenizer")
    weights = untrained(narrow)[1].weights
    with pytest.raises(UserError, match=r"`tokenizer\.encoder\.0\.weight` is \(4, 3, 3, 3\) instead of \(8, 3, 3, 3\)"):
        load_plugin(run.method).upscaler(Trained("tokenizer", run.settings, weights, {}))
