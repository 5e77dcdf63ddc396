"""What FeMaSR and AdaCode are made of: discriminator, losses, padding, the semantic term."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import normalize

from tests.conftest import shared
from tests.untrained import untrained_vgg19
from tvqsr.errors import UserError
from tvqsr.nn.feature_matching import feature_matching
from tvqsr.nn.femasr_frame import mirrored
from tvqsr.nn.fixed_image_loss import FixedImageLoss, FixedImageLossSettings
from tvqsr.nn.semantic import SemanticFeatures, SemanticHead, semantic_loss
from tvqsr.nn.unet_discriminator import UNetDiscriminator


def test_the_discriminator_has_real_esrgans_size_and_a_logit_per_pixel() -> None:
    assert sum(p.numel() for p in UNetDiscriminator(64).parameters()) == 4_376_897
    assert UNetDiscriminator(4)(torch.rand(2, 3, 40, 24)).shape == (2, 1, 40, 24)


def test_inner_layers_have_spectral_norm_one_and_no_bias() -> None:
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(4)
    for _ in range(200):
        discriminator(torch.rand(1, 3, 8, 8))
    inner = [*discriminator.down, *discriminator.up, discriminator.tail[0], discriminator.tail[2]]
    assert len(inner) == 8
    for layer in inner:
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is None
        assert float(torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]) == pytest.approx(1, rel=1e-3)
    outer = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d) and layer not in inner]
    assert [layer.bias is not None for layer in outer] == [True, True]
    assert "weight" in dict(outer[0].named_parameters()) and "weight" in dict(outer[1].named_parameters())


def test_the_way_up_adds_the_features_of_the_way_down() -> None:
    torch.manual_seed(0)
    net = UNetDiscriminator(4).eval()
    weights = [layer.weight for layer in [*net.down, *net.up, net.tail[0], net.tail[2]]]
    down, up, tail = weights[:3], weights[3:6], weights[6:]
    image = torch.rand(1, 3, 16, 24)

    def active(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    a = active(F.conv2d(image, net.head.weight, net.head.bias, padding=1))
    b = active(F.conv2d(a, down[0], stride=2, padding=1))
    c = active(F.conv2d(b, down[1], stride=2, padding=1))
    x = active(F.conv2d(c, down[2], stride=2, padding=1))
    for weight, beside in zip(up, (c, b, a), strict=True):
        larger = F.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)
        x = active(F.conv2d(larger, weight, padding=1)) + beside
    for weight in tail:
        x = active(F.conv2d(x, weight, padding=1))
    expected = F.conv2d(x, net.logits.weight, net.logits.bias, padding=1)
    assert torch.allclose(net(image), expected, atol=1e-6)


def test_the_discriminator_trains_under_bf16() -> None:
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = discriminator(torch.rand(2, 3, 16, 16)).float().mean()
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in discriminator.parameters())


@pytest.mark.parametrize("side", [1, 3, 15, 16, 17, 32])
def test_padding_repeats_the_edge_and_always_adds(side: int) -> None:
    image = torch.rand(1, 2, side, 7)
    padded = mirrored(image, 16)
    added = (side // 16 + 1) * 16 - side
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), (0, added), (0, 9)), mode="symmetric")
    assert np.array_equal(padded.numpy(), expected)


def test_feature_matching_by_its_definition() -> None:
    torch.manual_seed(0)
    features, target = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(2, 3, 4, 5, requires_grad=True)
    a, b = (x.detach().double().numpy().reshape(2, 3, 20) for x in (features, target))
    products = [sum(np.outer(x[i, :, p], x[i, :, p]) for p in range(20)) / 20 for x in (a, b) for i in range(2)]
    styles = np.mean([(products[i] - products[i + 2]) ** 2 for i in range(2)])
    loss = feature_matching(features, target)
    assert loss.item() == pytest.approx(0.25 * ((a - b) ** 2).mean() + styles, rel=1e-5)
    loss.backward()
    assert features.grad is not None and bool(features.grad.any())
    assert target.grad is None


def settings(**changed: Any) -> FixedImageLossSettings:
    published = FixedImageLossSettings(1.0, "none", perceptual_weight=1.0, gan_weight=0.1, gan_start=3)
    return replace(published, **changed)


class Mean(nn.Module):
    """A discriminator whose logit is ten times the mean of the image."""

    def forward(self, image: Tensor) -> Tensor:
        return 10 * image.mean(dim=(1, 2, 3))


def test_image_losses_have_fixed_weights() -> None:
    real, fake = torch.full((2, 3, 8, 8), 0.3), torch.full((2, 3, 8, 8), 0.05)
    loss = FixedImageLoss(settings(pixel_weight=2.0))
    assert set(loss.generator(fake, real, Mean(), 2)) == {"pixel"}
    assert loss.discriminator(real, Mean(), 2) == {}
    terms = loss.generator(fake, real, Mean(), 3)
    assert terms["pixel"].item() == pytest.approx(2 * 0.25)
    assert terms["gan"].item() == pytest.approx(-0.1 * 0.5)
    # Logits 3 and 0.5: hinges max(0, 1 - 3) and 1 + 0.5, each at weight 1.
    assert loss.discriminator(real, Mean(), 3)["hinge"].item() == pytest.approx(1.5)
    assert loss.discriminator(real / 10, Mean(), 3)["hinge"].item() == pytest.approx(1.5 + 0.7)


def test_without_a_gan_term_nobody_moves_the_discriminator() -> None:
    assert settings().players("a", "b") == {"generator": ("a", "b"), "discriminator": ("discriminator",)}
    assert settings(gan_weight=0.0).players("a") == {"generator": ("a",)}
    assert "gan" not in FixedImageLoss(settings(gan_weight=0.0)).generator(
        torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), Mean(), 9
    )


@pytest.mark.filterwarnings("ignore:.*(pretrained|weight enum).*:UserWarning")
def test_lpips_is_given_images_in_the_range_that_it_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    import lpips

    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    torch.manual_seed(0)
    real, fake = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    loss = FixedImageLoss(settings(perceptual="lpips_squeeze", perceptual_weight=0.5))
    expected = 0.5 * lpips.LPIPS(net="squeeze", verbose=False)(fake, real, normalize=True).item()
    assert loss.generator(fake, real, Mean(), 0)["perceptual"].item() == pytest.approx(expected, rel=1e-5)


def test_semantic_features_are_vgg19s_relu4_4(monkeypatch: pytest.MonkeyPatch) -> None:
    network = untrained_vgg19()
    assert isinstance(network, nn.ModuleDict)
    monkeypatch.setattr("torchvision.models.vgg19", lambda **_: network)
    features, image = SemanticFeatures(), torch.rand(1, 3, 32, 48, requires_grad=True)
    # Positions by hand from configuration E: two, two, four and four convolutions, a pooling after each group.
    relu4_4 = create_feature_extractor(network["features"], {"26": "relu4_4"})
    with torch.no_grad():
        expected = relu4_4(normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))["relu4_4"]
    found = features(image)
    assert found.shape == (1, 512, 4, 6)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not found.requires_grad and not any(p.requires_grad for p in features.parameters())


def test_the_semantic_term_is_the_error_of_a_guess_from_the_codes() -> None:
    torch.manual_seed(0)
    head, codes, target = SemanticHead(6), torch.randn(1, 6, 2, 2), torch.rand(1, 512, 2, 2)
    conv = head[0]
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    guess = torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], codes) + conv.bias.view(1, -1, 1, 1)
    expected = (guess.clamp(min=0) - target).square().mean()
    assert semantic_loss(codes, head, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_absent_weights_of_the_semantic_term_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with pytest.raises(UserError, match=r"checkpoints/vgg19-dcbb9e9d\.pth: .*or set `semantic_weight` to 0"):
        SemanticFeatures()
