"""Losses of the GAN family against closed forms, loops in float64, and torchvision's own VGG."""

from __future__ import annotations

import itertools
import math
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from tvqsr.errors import UserError
from tvqsr.nn import vgg_loss
from tvqsr.nn.adversarial import relativistic_discriminator, relativistic_generator
from tvqsr.nn.artifacts import artifact_loss, artifact_map
from tvqsr.nn.discriminator import VggDiscriminator
from tvqsr.nn.vgg_loss import VggLoss, layer_weights

REAL, FAKE = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-2.5]])


def minus_log_sigmoid(x: float) -> float:
    return math.log1p(math.exp(-x))


def test_the_generators_relativistic_loss() -> None:
    """Equation 2 of ESRGAN, in numbers: means are 0.5 (real) and -1 (fake)."""
    real_as_fake = [minus_log_sigmoid(-(value + 1)) for value in (2.0, -1.0)]
    fake_as_real = [minus_log_sigmoid(value - 0.5) for value in (0.5, -2.5)]
    expected = (sum(real_as_fake) / 2 + sum(fake_as_real) / 2) / 2
    assert relativistic_generator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-6)


def test_the_discriminators_relativistic_loss() -> None:
    real_as_real = [minus_log_sigmoid(value + 1) for value in (2.0, -1.0)]
    fake_as_fake = [minus_log_sigmoid(-(value - 0.5)) for value in (0.5, -2.5)]
    expected = (sum(real_as_real) / 2 + sum(fake_as_fake) / 2) / 2
    assert relativistic_discriminator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-6)


def test_only_the_generators_gradient_flows_through_the_means() -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    relativistic_discriminator(real, fake).backward()
    # d/dr of the mean of -log sigmoid(r + 1), halved, with the mean of the fakes held fixed.
    assert real.grad is not None and fake.grad is not None
    assert real.grad.flatten().tolist() == pytest.approx([-0.25 / (1 + math.exp(v + 1)) for v in (2.0, -1.0)])
    assert fake.grad.flatten().tolist() == pytest.approx([0.25 / (1 + math.exp(-(v - 0.5))) for v in (0.5, -2.5)])
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    relativistic_generator(real, fake).backward()
    assert real.grad is None
    through_mean = -sum(0.25 / (1 + math.exp(-(v + 1))) for v in (2.0, -1.0)) / 2
    own = [-0.25 / (1 + math.exp(v - 0.5)) for v in (0.5, -2.5)]
    assert fake.grad is not None
    assert fake.grad.flatten().tolist() == pytest.approx([value + through_mean for value in own])


@pytest.mark.parametrize(("halvings", "side"), [(5, 128), (6, 256), (3, 32)])
def test_the_discriminators_size(halvings: int, side: int) -> None:
    """Channels 64, 128, 256, 512, 512, ... as published; no biases before batch norm; 100 hidden units."""
    with torch.device("meta"):
        discriminator = VggDiscriminator(64, halvings)
        logits = discriminator(torch.empty(2, 3, side, side))
    channels = [3] + [min(64 * 2**level, 512) for level in range(halvings)]
    count = 64  # the first convolution's biases
    for before, after in itertools.pairwise(channels):
        count += 9 * before * after + 16 * after * after + 2 * after * (1 if before == 3 else 2)
    count += (16 * channels[-1] + 1) * 100 + 101
    assert logits.shape == (2, 1)
    assert sum(p.numel() for p in discriminator.parameters()) == count


def test_the_discriminator_refuses_other_crops() -> None:
    with pytest.raises(UserError, match=r"hr_crop: .* 32 x 32, found 64 x 32"):
        VggDiscriminator(4, 3)(torch.zeros(2, 3, 32, 64))


def maps_by_loops(sr: Tensor, averaged: Tensor, hr: Tensor) -> np.ndarray:
    """LDL's map, pixel by pixel (arXiv 2203.09195, equations 2 to 5)."""
    sr_, averaged_, hr_ = (x.numpy() for x in (sr, averaged, hr))
    residual, of_average = np.abs(hr_ - sr_).sum(1), np.abs(hr_ - averaged_).sum(1)
    out = np.zeros_like(residual)
    for image, (own, other) in enumerate(zip(residual, of_average, strict=True)):
        wide = np.pad(own, 3, mode="reflect")
        for y in range(own.shape[0]):
            for x in range(own.shape[1]):
                local = np.var(wide[y : y + 7, x : x + 7], ddof=1)
                out[image, y, x] = 0 if own[y, x] < other[y, x] else np.var(own, ddof=1) ** 0.2 * local
    return out


def images() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sr, averaged, hr = (torch.rand(2, 3, 9, 11, dtype=torch.float64, generator=generator) for _ in range(3))
    return sr, averaged, hr


def test_the_artifact_map_is_ldls() -> None:
    sr, averaged, hr = images()
    found = artifact_map(sr, averaged, hr)
    assert found.shape == (2, 1, 9, 11)
    assert 0 < float((found == 0).double().mean()) < 1
    np.testing.assert_allclose(found[:, 0].numpy(), maps_by_loops(sr, averaged, hr), rtol=1e-10)


def test_the_artifact_loss_and_its_gradient() -> None:
    """The gradient flows through the weights, too: it is the loss's own, by finite differences."""
    sr, averaged, hr = images()
    expected = (maps_by_loops(sr, averaged, hr)[:, None] * (hr - sr).abs().numpy()).mean()
    assert artifact_loss(sr, averaged, hr).item() == pytest.approx(expected, rel=1e-10)
    sr.requires_grad_()
    (gradient,) = torch.autograd.grad(artifact_loss(sr, averaged, hr), sr)
    for where in ((0, 0, 4, 5), (1, 2, 0, 10), (1, 1, 8, 3)):
        step = torch.zeros_like(sr)
        step[where] = 1e-6
        difference = artifact_loss(sr + step, averaged, hr) - artifact_loss(sr - step, averaged, hr)
        assert gradient[where].item() == pytest.approx(difference.item() / 2e-6, rel=1e-5)


def test_equal_images_have_a_finite_gradient() -> None:
    sr, _, hr = images()
    same = hr.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(artifact_loss(same, sr, hr), same)
    assert bool(gradient.isfinite().all())


@pytest.fixture
def random_vgg(monkeypatch: pytest.MonkeyPatch) -> nn.Sequential:
    """VGG19's convolutions with torchvision's layers and random weights, in place of the trained ones."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["E"])
    monkeypatch.setattr(vgg_loss, "_vgg19", lambda otherwise: layers)
    return layers


def test_the_vgg_loss_takes_features_before_the_relu(random_vgg: nn.Sequential) -> None:
    """By position in torchvision's list: conv1_2 is layer 2, conv2_2 7, conv3_4 16, conv4_4 25, conv5_4 34."""
    positions = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}
    loss = VggLoss("conv1_2:0.1 conv2_2:0.1 conv3_4:1 conv4_4:1 conv5_4:1")
    image, target = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found, wanted = (((x.movedim(1, -1) - mean) / std).movedim(-1, 1) for x in (image, target))
    expected = 0.0
    with torch.no_grad():
        for position, layer in enumerate(random_vgg):
            # Cloned, since torchvision's ReLUs overwrite what they are given.
            found, wanted = layer(found.clone()), layer(wanted.clone())
            if position in positions:
                expected += positions[position] * float((found - wanted).abs().mean())
    assert loss(image, target).item() == pytest.approx(expected, rel=1e-5)


def test_the_vgg_loss_moves_the_image_alone(random_vgg: nn.Sequential) -> None:
    loss = VggLoss("conv2_2:1")
    image, target = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    loss(image, target).backward()
    assert image.grad is not None and bool(image.grad.any())
    assert target.grad is None
    assert all(p.grad is None for p in loss.parameters())


@pytest.mark.parametrize(
    ("text", "message"), [("conv3_5:1", "conv3_5:1"), ("conv5_4", "number"), ("conv5_4:x", "number"), ("", "at least")]
)
def test_layers_that_do_not_exist_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"perceptual_layers: .*{message}"):
        layer_weights(text)


def test_absent_vgg_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(UserError, match=r"checkpoints/vgg19-dcbb9e9d\.pth: .* no network"):
        VggLoss("conv5_4:1")
