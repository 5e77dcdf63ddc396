"""ESRGAN, LDL and AESOP: what each loss is, what it moves, and that nothing but the fidelity term differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.conftest import TINY
from tests.untrained import batch, gradients, run_of, untrained, weights_of
from tvqsr.contract import Stage
from tvqsr.data.crops import Batch
from tvqsr.errors import UserError
from tvqsr.nn.adversarial import relativistic_discriminator, relativistic_generator
from tvqsr.nn.artifacts import artifact_loss
from tvqsr.nn.rrdb import RrdbNet, RrdbShape
from tvqsr.nn.rrdb_gan import GanSettings, GanStage
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

FAMILY = ("esrgan", "ldl", "aesop")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.load(str(TINY), {"entries": ["rrdb", *FAMILY, "aesop_ae"]})


def gan(plan: Plan, method: str) -> Stage:
    return untrained(run_of(plan, method, "gan"))[0]


def images(stage: Stage, given: Batch) -> torch.Tensor:
    with torch.no_grad():
        sr: torch.Tensor = stage.networks["generator"](given.lr)
    return sr


@pytest.mark.parametrize(
    ("method", "terms"),
    [("esrgan", {"pixel"}), ("ldl", {"pixel", "artifacts"}), ("aesop", {"artifacts", "autoencoder"})],
)
def test_the_family_differs_in_its_fidelity_terms(plan: Plan, method: str, terms: set[str]) -> None:
    stage = gan(plan, method)
    assert set(stage.losses("generator", batch(), 0)) == terms | {"gan"}
    assert list(stage.players.items()) == [("generator", ("generator",)), ("discriminator", ("discriminator",))]
    assert list(stage.losses("discriminator", batch(), 0)) == ["gan"]


@pytest.mark.parametrize("method", FAMILY)
def test_every_generator_starts_from_the_same_training(plan: Plan, method: str) -> None:
    run = run_of(plan, method, "gan")
    assert run.needs["rrdb.psnr"].name == run_of(plan, "rrdb", "psnr").name
    stage, trained = untrained(run)
    start = trained.needs["rrdb.psnr"].weights
    assert all(
        torch.equal(value, start[f"generator.{key}"]) for key, value in stage.networks["generator"].state_dict().items()
    )


def test_the_published_weights_of_the_terms() -> None:
    """ESRGAN, section 4.1; LDL's train_Synthetic_LDL.yml; AESOP's train_Synthetic_AESOP_RRDB.yml."""

    def published(method: str) -> dict[str, Any]:
        return {name: s.default for name, s in load_method(method, "here").spec.stages["gan"].settings.items()}

    of = {method: GanSettings(**published(method)) for method in FAMILY}
    fidelity = {m: (s.pixel_weight, s.artifact_weight, s.autoencoder_weight) for m, s in of.items()}
    assert fidelity == {"esrgan": (0.01, 0.0, 0.0), "ldl": (0.01, 1.0, 0.0), "aesop": (0.0, 1.0, 1.0)}
    assert {(s.perceptual, s.perceptual_weight, s.gan_weight) for s in of.values()} == {("vgg19", 1.0, 0.005)}
    assert of["ldl"].perceptual_layers == of["aesop"].perceptual_layers


def test_the_paper_preset_changes_only_what_an_entry_is_named_after() -> None:
    plan = Plan.load("paper", {"entries": ["rrdb", "esrgan", "ldl", "aesop", "aesop_ae", "aesop_256", "esrgan_frame"]})
    for entry in plan.entries.values():
        changed = set()
        for run in entry.run.lineage() if entry.run else []:
            published = run.method.spec.stages[run.stage]
            changed |= {name for name, value in run.settings.items() if value != published.settings[name].default}
            changed |= {"training"} if run.training != published.training else set()
            assert run.dataset == "df2k"
        variants = {
            "aesop_256": {"discriminator_halvings", "training"},
            "esrgan_frame": {"perceptual_layers", "training"},
        }
        assert changed == variants.get(entry.name, set()), entry.name
        assert "imagenet_test" not in plan.test_sets(entry.name) and "div2k_valid" in plan.test_sets(entry.name)


def test_the_terms_are_the_losses_times_their_weights(plan: Plan) -> None:
    stage, given = gan(plan, "ldl"), batch()
    terms = stage.losses("generator", given, 0)
    sr, discriminator = images(stage, given), stage.networks["discriminator"]
    with torch.no_grad():
        logits = discriminator(given.hr), discriminator(sr)
    assert terms["pixel"].item() == pytest.approx(0.01 * (sr - given.hr).abs().mean().item(), rel=1e-5)
    # Before a training has begun, the generator stands for its average.
    assert terms["artifacts"].item() == pytest.approx(artifact_loss(sr, sr, given.hr).item(), rel=1e-4)
    assert terms["gan"].item() == pytest.approx(0.005 * relativistic_generator(*logits).item(), rel=1e-4)


def test_aesops_term_is_measured_after_the_auto_encoder(plan: Plan) -> None:
    run, given = run_of(plan, "aesop", "gan"), batch()
    stage, trained = untrained(run)
    reconstruct = load_plugin(run.method).upscaler(trained.needs["autoencoder"])
    with torch.no_grad():
        expected = F.l1_loss(reconstruct(images(stage, given)), reconstruct(given.hr)).item()
    assert stage.losses("generator", given, 0)["autoencoder"].item() == pytest.approx(expected, rel=1e-4)


def test_aesops_term_sees_what_the_auto_encoder_keeps() -> None:
    """With a known one: the mean of 4 x 4 pixels, of which the loss is twice (its weight) the mean difference."""
    settings = GanSettings("none", "", 0.0, 0.0, 4, 4, autoencoder_weight=2.0)
    stage = GanStage(settings, RrdbNet(RrdbShape(4, 1, 4)), torch.nn.AvgPool2d(4))
    given = batch()
    difference = (images(stage, given) - given.hr).unflatten(3, (16, 4)).unflatten(2, (16, 4)).mean(dim=(3, 5))
    found = stage.losses("generator", given, 0)["autoencoder"].item()
    assert found == pytest.approx(2 * difference.abs().mean().item(), rel=1e-4)


def test_only_the_generator_moves_with_its_terms(plan: Plan) -> None:
    stage = gan(plan, "aesop")
    for term in ("autoencoder", "artifacts", "gan"):
        moved = gradients(stage, term)
        assert {name.split(".")[0] for name in moved} - {"discriminator"} == {"generator"}
        assert {"generator.conv_first", "generator.body", "generator.conv_last"} <= moved
    assert isinstance(stage, GanStage) and stage.autoencoder is not None
    assert all(not p.requires_grad and p.grad is None for p in stage.autoencoder.parameters())
    assert not any(name.startswith("autoencoder") for name in stage.networks)


def test_the_discriminator_sees_the_fake_of_the_generators_turn(plan: Plan) -> None:
    stage, given = gan(plan, "esrgan"), batch()
    fake = images(stage, given)
    stage.losses("generator", given, 0)
    with torch.no_grad():
        for parameter in stage.networks["generator"].parameters():
            parameter.zero_()
        discriminator = stage.networks["discriminator"]
        expected = relativistic_discriminator(discriminator(given.hr), discriminator(fake))
    loss = stage.losses("discriminator", given, 0)["gan"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    stage.zero_grad()
    loss.backward()
    assert all(p.grad is None for p in stage.networks["generator"].parameters())


def test_artifacts_are_judged_by_the_running_average(plan: Plan) -> None:
    """Where the average's image is the answer itself, every pixel that differs counts; where it is far off, none."""
    stage, given = gan(plan, "ldl"), batch()

    class Image(torch.nn.Module):
        def __init__(self, image: torch.Tensor) -> None:
            super().__init__()
            self.image = image

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return self.image

    for image, positive in ((given.hr, True), (given.hr + 100, False)):
        stage.averaged = [torch.nn.ModuleDict({"generator": Image(image)})]
        assert (stage.losses("generator", given, 0)["artifacts"].item() > 0) is positive


def test_without_a_gan_term_there_is_no_second_player() -> None:
    settings = GanSettings("none", "", 0.0, 0.0, 4, 4, pixel_weight=1.0)
    stage = GanStage(settings, RrdbNet(RrdbShape(4, 1, 4)))
    assert list(stage.players) == ["generator"]
    assert list(stage.losses("generator", batch(), 0)) == ["pixel"]


def test_crops_that_the_discriminator_cannot_see_are_refused() -> None:
    settings = GanSettings("none", "", 0.0, 0.005, 4, 3, pixel_weight=1.0)
    stage = GanStage(settings, RrdbNet(RrdbShape(4, 1, 4)))
    with pytest.raises(UserError, match=r"hr_crop: .* 32 x 32, found 64 x 64"):
        stage.losses("generator", batch(), 0)


def test_lpips_may_stand_in_for_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given [-1, 1], as it expects."""
    seen: list[torch.Tensor] = []

    class Distance(torch.nn.Module):
        def forward(self, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            seen.extend([image, target])
            return (image - target).abs().mean()

    monkeypatch.setattr("tvqsr.nn.rrdb_gan.perceptual_loss", lambda kind, given: Distance())
    settings = GanSettings("lpips_alex", "", 0.5, 0.0, 4, 4)
    stage, given = GanStage(settings, RrdbNet(RrdbShape(4, 1, 4))), batch()
    terms, sr = stage.losses("generator", given, 0), images(stage, given)
    assert terms["perceptual"].item() == pytest.approx((sr - given.hr).abs().mean().item(), rel=1e-4)
    assert torch.equal(seen[1], 2 * given.hr - 1)


def test_the_auto_encoders_losses(plan: Plan) -> None:
    run, given = run_of(plan, "aesop", "autoencoder"), batch()
    stage, trained = untrained(run)
    network = stage.networks["autoencoder"]
    with torch.no_grad():
        bottleneck = network.get_submodule("encoder")(given.hr)
        restored = network(given.hr)
    assert bottleneck.shape == given.lr.shape
    terms = stage.losses("generator", given, 0)
    assert terms["lr"].item() == pytest.approx((bottleneck - given.lr).abs().mean().item(), rel=1e-5)
    assert terms["pixel"].item() == pytest.approx((restored - given.hr).abs().mean().item(), rel=1e-5)
    # The decoder starts from the PSNR-oriented network, and moves.
    start = trained.needs["rrdb.psnr"].weights
    assert torch.equal(network.state_dict()["decoder.conv_hr.weight"], start["generator.conv_hr.weight"])
    assert {"autoencoder.encoder", "autoencoder.decoder"} <= gradients(stage, "pixel")
    assert gradients(stage, "lr") == {"autoencoder.encoder"}


@pytest.mark.parametrize(("method", "stage"), [("esrgan", "gan"), ("aesop", "gan"), ("aesop", "autoencoder")])
def test_trained_weights_make_the_networks_images(plan: Plan, method: str, stage: str) -> None:
    run = run_of(plan, method, stage)
    built, trained = untrained(run)
    with torch.no_grad():
        for parameter in built.networks.parameters():
            parameter.add_(0.01)
    moved = dataclasses.replace(trained, weights=weights_of(built.networks))
    upscaler = load_plugin(run.method).upscaler(moved)
    given = batch()
    name, image = ("autoencoder", given.hr) if stage == "autoencoder" else ("generator", given.lr)
    with torch.no_grad():
        assert torch.equal(upscaler(image), built.networks[name](image))
    assert run.reads == ("hr" if stage == "autoencoder" else "lr")
