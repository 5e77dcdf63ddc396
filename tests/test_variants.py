"""Settings that depart from the released code, one by one: structure resolution, what is quantised, losses."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import normalize

from tests.conftest import shared
from tests.untrained import ChangedPreset, batch, gradients, run_of, untrained, with_settings
from tvqsr.data.images import read_image
from tvqsr.nn.perceptual import PerceptualLoss
from tvqsr.nn.swin import SwinBlock
from tvqsr.plugins import load_plugin


@pytest.mark.parametrize("scale", [8, 16, 32])
def test_structure_lies_where_it_is_told_in_every_network(preset: ChangedPreset, scale: int) -> None:
    plan = with_settings(preset, "tvqrap", tokenizer={"structure_scale": scale})
    stage = untrained(run_of(plan, "tvqrap", "tokenizer"))[0]
    assert gradients(stage, "align") == {"tokenizer.texture_encoder", "tokenizer.structure_encoder"}
    networks = stage.networks
    tokenizer: Any = networks["tokenizer"]
    encoded = tokenizer.encode(torch.rand(1, 3, 64, 96))
    f_low = (1, 8, 64 // scale, 96 // scale)
    assert encoded.f_low.shape == f_low
    assert encoded.structure.shape == (1, 16, 8, 12)
    f_down = networks["x_down_encoder"](torch.rand(1, 3, 8, 12))
    assert f_down.shape == f_low
    assert networks["x_down_decoder"](f_down).shape == (1, 3, 8, 12)
    predictor = untrained(run_of(plan, "tvqrap", "predictor"))[0].networks["predictor"]
    predicted = predictor(torch.rand(1, 3, 16, 24), tokenizer.structure_path)
    assert predicted.f_low.shape == f_low
    assert predicted.logits[0].shape == (1, 16, 8, 12)


@pytest.mark.parametrize("scale", [8, 16, 32])
@pytest.mark.parametrize(("window", "predictor_window"), [(4, 4), (3, 2), (2, 5)])
def test_every_attention_of_a_padded_image_has_whole_windows(
    preset: ChangedPreset, scale: int, window: int, predictor_window: int
) -> None:
    tokenizer = {"structure_scale": scale, "window": window}
    plan = with_settings(preset, "tvqrap", tokenizer=tokenizer, predictor={"window": predictor_window})
    ragged: list[tuple[int, ...]] = []

    def look(block: SwinBlock, given: tuple[Tensor]) -> None:
        if given[0].shape[1] % block.window or given[0].shape[2] % block.window:
            ragged.append((block.window, *given[0].shape))

    for stage in ("tokenizer", "predictor"):
        run = run_of(plan, "tvqrap", stage)
        upscaler = load_plugin(run.method).upscaler(untrained(run)[1])
        blocks = [module for module in upscaler.modules() if isinstance(module, SwinBlock)]
        for block in blocks:
            block.register_forward_pre_hook(look)
        with torch.no_grad():
            out = upscaler(torch.rand(1, 3, upscaler.multiple, 2 * upscaler.multiple))
        grown = 1 if stage == "tokenizer" else 4
        assert out.shape == (1, 3, grown * upscaler.multiple, 2 * grown * upscaler.multiple)
        assert blocks
    assert ragged == []


def test_published_padding_is_kept(preset: ChangedPreset) -> None:
    """LR to multiples of 64, HR of 256 (released code)."""
    plan = with_settings(preset, "tvqrap", tokenizer={"window": 8}, predictor={"window": 8})
    for stage, expected in (("tokenizer", 256), ("predictor", 64), ("rap", 64)):
        run = run_of(plan, "tvqrap", stage)
        assert load_plugin(run.method).upscaler(untrained(run)[1]).multiple == expected


def test_texture_alone_is_quantised_and_added_to_the_structure(preset: ChangedPreset) -> None:
    plan = with_settings(preset, "tvqrap", tokenizer={"quantised": "texture"})
    stage = untrained(run_of(plan, "tvqrap", "tokenizer"))[0]
    assert gradients(stage, "vq") == {f"tokenizer.{part}" for part in ("texture_encoder", "fusion", "quantizer")}
    assert "tokenizer.structure_path" in gradients(stage, "pixel")
    tokenizer: Any = stage.networks["tokenizer"]
    fused = untrained(run_of(with_settings(preset, "tvqrap"), "tvqrap", "tokenizer"))[0]
    assert "tokenizer.structure_path" in gradients(fused, "vq")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        encoded = tokenizer.encode(image)
        expected = tokenizer.image_path(encoded.structure + tokenizer.quantizer.lookup(encoded.texture.indices))
        assert torch.allclose(tokenizer(image), expected, atol=1e-5)


def test_rap_takes_the_losses_of_stage_2_where_they_have_weight(preset: ChangedPreset) -> None:
    published = untrained(run_of(with_settings(preset, "tvqrap"), "tvqrap", "rap"))[0]
    assert set(published.losses("generator", batch(), 0)) == {"pixel", "gan"}
    plan = with_settings(preset, "tvqrap", rap={"index_weight": 0.5, "structure_weight": 3.0})
    stage = untrained(run_of(plan, "tvqrap", "rap"))[0]
    terms = stage.losses("generator", batch(), 0)
    tokenizer: Any = stage.tokenizer
    with torch.no_grad():
        target = tokenizer.encode(2 * batch().hr - 1)
        found = stage.networks["predictor"](2 * batch().lr - 1, tokenizer.structure_path)
    likelihood = found.logits[0].softmax(dim=1).gather(1, target.texture.indices[0].unsqueeze(1))
    assert terms["index"].item() == pytest.approx(-0.5 * likelihood.log().mean().item(), rel=1e-4)
    assert terms["structure"].item() == pytest.approx(3 * (found.f_low - target.f_low).square().mean().item(), rel=1e-4)
    assert terms["pixel"].item() == pytest.approx(published.losses("generator", batch(), 0)["pixel"].item())


def test_perceptual_input_is_lpips_own_or_normalised_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official values of LPIPS-Alex on real distortions; the quirk is checked with torchvision's normalisation."""
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    folder = shared("calibration", "iqa")
    with (folder / "official_values.csv").open() as file:
        official = next([float(value) for value in row[1:]] for row in csv.reader(file) if row[0] == "lpips")
    pairs = [
        [torch.from_numpy(read_image(path).copy()).permute(2, 0, 1)[None] / 127.5 - 1 for path in both]
        for both in zip(sorted((folder / "distorted").iterdir()), sorted((folder / "reference").iterdir()), strict=True)
    ]
    plain, quirk = PerceptualLoss("alex", "plain"), PerceptualLoss("alex", "imagenet")
    with torch.no_grad():
        assert [plain(*pair).item() for pair in pairs] == pytest.approx(official, abs=1e-3)
        for image, target in pairs:
            twice = (
                normalize((side + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) for side in (image, target)
            )
            assert quirk(image, target).item() == pytest.approx(plain(*twice).item(), rel=1e-5)
        assert [quirk(*pair).item() for pair in pairs] != pytest.approx(official, rel=0.01)


def test_lpips_as_a_loss_is_fp32_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    loss = PerceptualLoss("alex", "imagenet")
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    close = image + 0.02 * torch.randn_like(image)
    exact = loss(image, close)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(image, close), exact)
