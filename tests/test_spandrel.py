"""Checkpoints of other people's through spandrel: against networks computed otherwise, and what is refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import spandrel
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.HAT import HAT
from spandrel.architectures.SwinIR import SwinIR
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.spandrel.plugin import Checkpoint, given_upscaler
from tests.conftest import Command, shared
from tvqsr.data.images import read_image
from tvqsr.errors import UserError

Weights = dict[str, Tensor]
TRANSFORMER = {"img_size": 64, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2], "mlp_ratio": 2, "upscale": 4}


def rrdb_weights(features: int = 8, growth: int = 32, blocks: int = 2) -> Weights:
    """Random weights under the names of Real-ESRGAN's released files."""
    shapes = {"conv_first": (features, 3), "conv_body": (features,) * 2, "conv_last": (3, features)}
    shapes |= dict.fromkeys(("conv_up1", "conv_up2", "conv_hr"), (features, features))
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                out = features if conv == 5 else growth
                shapes[f"body.{block}.rdb{dense}.conv{conv}"] = (out, features + (conv - 1) * growth)
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, (out, into) in shapes.items():
        weights[f"{name}.weight"] = torch.randn(out, into, 3, 3, generator=generator) / (9 * into) ** 0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(out, generator=generator)
    return weights


def rrdbnet(weights: Weights, image: Tensor, blocks: int) -> Tensor:
    """RRDBNet x4 by its published layers (ESRGAN, section 3.1): dense blocks of five, residuals scaled by 0.2."""

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def leaky(x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2)

    first = conv("conv_first", image)
    deep = first
    for block in range(blocks):
        inner = deep
        for dense in (1, 2, 3):
            seen = [inner]
            for number in range(1, 5):
                seen.append(leaky(conv(f"body.{block}.rdb{dense}.conv{number}", torch.cat(seen, 1))))
            inner = inner + 0.2 * conv(f"body.{block}.rdb{dense}.conv5", torch.cat(seen, 1))
        deep = deep + 0.2 * inner
    deep = first + conv("conv_body", deep)
    for number in (1, 2):
        deep = leaky(conv(f"conv_up{number}", F.interpolate(deep, scale_factor=2, mode="nearest")))
    return conv("conv_last", leaky(conv("conv_hr", deep)))


def renamed(weights: Weights, *names: tuple[str, str]) -> Weights:
    for old, new in names:
        weights = {key.replace(old, new): value for key, value in weights.items()}
    return weights


BSRGAN_NAMES = (("body.", "RRDB_trunk."), ("rdb", "RDB"), ("conv_RRDB_trunk.", "trunk_conv."), ("conv_up", "upconv"))


@pytest.mark.parametrize("released_as", ["Real-ESRGAN", "BSRGAN", "ESRGAN", "safetensors"])
def test_rrdbnets_of_all_releases_are_the_published_network(tmp_path: Path, released_as: str) -> None:
    weights = rrdb_weights()
    path = tmp_path / ("net.safetensors" if released_as == "safetensors" else "net.pth")
    if released_as == "Real-ESRGAN":
        # The running average is what is published, though the last weights lie beside it.
        torch.save({"params": {key: value + 1 for key, value in weights.items()}, "params_ema": weights}, path)
    elif released_as == "BSRGAN":
        torch.save(renamed(weights, *BSRGAN_NAMES, ("conv_hr", "HRconv")), path)
    elif released_as == "ESRGAN":
        torch.save(_of_2018(weights, blocks=2), path, _use_new_zipfile_serialization=False)
    else:
        save_file(weights, path)
    image = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    network = given_upscaler(path).eval()
    assert dict(network.about)["architecture"] == "ESRGAN"
    expected = rrdbnet(weights, image, blocks=2).clamp(0, 1)
    assert float(((expected > 0) & (expected < 1)).float().mean()) > 0.05
    assert torch.allclose(network(image), expected, atol=1e-5)
    assert sum(p.numel() for p in network.parameters()) == sum(value.numel() for value in weights.values())


def _of_2018(weights: Weights, blocks: int) -> Weights:
    """The names of ESRGAN's first release: layers of nested sequences by their numbers."""
    names = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{blocks}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
    }
    names |= {"conv_hr": "model.8", "conv_last": "model.10"}
    old = {}
    for key, value in weights.items():
        layer, kind = key.rsplit(".", 1)
        if layer.startswith("body."):
            _, block, dense, conv = layer.split(".")
            names[layer] = f"model.1.sub.{block}.{dense.upper()}.{conv}.0"
        old[f"{names[layer]}.{kind}"] = value
    return old


def test_the_authors_own_rrdbnet(tmp_path: Path) -> None:
    """Of the size of ESRGAN and Real-ESRGAN: AESOP's auto-encoder decodes its bottleneck with one."""
    folder = shared("parity", "aesop")
    decoder: Weights = {}
    for key, shape in json.loads((folder / "state_dict_keys.json").read_text())["autoencoder"]:
        if key.startswith("decoder."):
            noise = np.random.default_rng(zlib.crc32(f"public:{key}".encode())).standard_normal(shape)
            scale = 0.1 if len(shape) == 1 else np.prod(shape[1:]) ** -0.5
            decoder[key.removeprefix("decoder.")] = torch.from_numpy(scale * noise).float()
    path = tmp_path / "authors.pth"
    torch.save({"params_ema": decoder}, path)
    with np.load(folder / "reference.npz", allow_pickle=False) as reference:
        bottleneck, expected = (torch.from_numpy(reference[name]) for name in ("bottleneck", "ae_sr"))
    with torch.inference_mode():
        found = given_upscaler(path).eval().network(bottleneck)
        clamped = given_upscaler(path).eval()(bottleneck)
    assert float((found - expected).norm() / expected.norm()) <= 1e-4
    assert torch.allclose(clamped, expected.clamp(0, 1), atol=1e-3)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "SwinIR": lambda: SwinIR(window_size=8, upsampler="pixelshuffle", **TRANSFORMER),
    "SwinIR, real": lambda: SwinIR(window_size=8, upsampler="nearest+conv", **TRANSFORMER),
    "HAT": lambda: HAT(window_size=16, upsampler="pixelshuffle", compress_ratio=3, squeeze_factor=6, **TRANSFORMER),
    "RealESRGAN Compact": lambda: Compact(num_feat=8, num_conv=2, upscale=4, act_type="prelu"),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_checkpoint_gives_what_its_network_gives(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    module = NETWORKS[kind]().eval()
    path = tmp_path / "net.pth"
    torch.save({"params_ema": module.state_dict()}, path)
    network = given_upscaler(path).eval()
    assert network.about["architecture"] == kind.split(",", maxsplit=1)[0]
    assert network.about["library"] == f"spandrel {spandrel.__version__}"
    with torch.inference_mode():
        image = torch.rand(1, 3, 32, 32)
        assert torch.allclose(network(image), module(image).clamp(0, 1), atol=1e-6)
        odd = torch.rand(2, 3, 17, 21)
        large = network(odd)
        assert large.shape == (2, 3, 68, 84)
        assert torch.equal(large[1:], network(odd[1:]))
        assert network(torch.rand(1, 3, 3, 1)).shape == (1, 3, 12, 4)
        assert 0 <= float(large.min()) <= float(large.max()) <= 1


def test_images_below_the_smallest_size_are_mirrored(tmp_path: Path) -> None:
    """HAT needs 16 a side: beyond the image lies its mirror image, which is cut off again."""
    torch.manual_seed(0)
    module = NETWORKS["HAT"]().eval()
    path = tmp_path / "net.pth"
    torch.save(module.state_dict(), path)
    image = torch.rand(1, 3, 10, 12)
    padded = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 0), (0, 6), (0, 4)), mode="reflect"))
    with torch.inference_mode():
        assert torch.allclose(given_upscaler(path).eval()(image), module(padded)[..., :40, :48].clamp(0, 1), atol=1e-6)


def test_noise_is_the_same_for_every_image() -> None:
    class Noisy(SimpleNamespace):
        def __call__(self, image: Tensor) -> Tensor:
            return image + torch.rand_like(image)

    noisy = Noisy(model=nn.Identity(), architecture=SimpleNamespace(name="Noisy"), tags=[])
    network = Checkpoint(noisy)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = network(torch.zeros(2, 3, 4, 4))
    assert torch.equal(first[0], first[1])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(first, network(torch.zeros(2, 3, 4, 4)))
    assert float(first.std()) > 0.1


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


def _broken(weights: Weights) -> Weights:
    return weights | {"body.0.rdb1.conv2.weight": torch.zeros(5, 5, 3, 3)}


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "other scale": (lambda: ESRGAN(num_filters=4, num_blocks=1, scale=2).state_dict(), "is a x2 network (ESRGAN)"),
    "luma": (
        lambda: ESRGAN(in_nc=1, out_nc=1, num_filters=4, num_blocks=1).state_dict(),
        "has 1 channels in and 1 out",
    ),
    "denoiser": (lambda: DnCNN(in_nc=3, out_nc=3, nc=4, nb=17).state_dict(), "is DnCNN, of Restoration"),
    "unknown": (lambda: {"weight": torch.zeros(3)}, "spandrel recognises no architecture in it"),
    "no mapping": (lambda: [torch.zeros(3)], "expected weights by name"),
    "not fitting": (lambda: _broken(rrdb_weights()), "looks like a network that spandrel knows but does not fit it"),
    "code": (lambda: rrdb_weights() | {"epoch": Malicious()}, "nothing in it was run"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_compared_here_is_refused_in_one_line(workspace: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    path = workspace / "net.pth"
    torch.save(make(), path)
    with pytest.raises(UserError) as error:
        given_upscaler(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("executed").exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    script = tmp_path / "script.pt"
    torch.jit.script(nn.Conv2d(3, 3, 3)).save(str(script))
    whole = tmp_path / "whole.pth"
    torch.save(rrdb_weights(), whole)
    (cut := tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:5000])
    (wrong := tmp_path / "wrong.safetensors").write_bytes(whole.read_bytes())
    for path, message in (
        (tmp_path / "absent.pth", "no such file; get the checkpoint from its authors and put it there"),
        (tmp_path, "no such file"),
        (script, "no checkpoint"),
        (cut, "is damaged or no checkpoint"),
        (wrong, "is damaged or no checkpoint"),
    ):
        with pytest.raises(UserError) as error:
            given_upscaler(path)
        assert str(error.value).startswith(f"{path}: ")
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_cost_of_a_checkpoint(workspace: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from tvqsr.efficiency import cost

    monkeypatch.setattr(cost, "SECONDS", 0.0)
    weights = rrdb_weights()
    torch.save(weights, "net.pth")
    result = tvqsr("efficiency", "spandrel", "--given", "net.pth")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["parameters"]["inference"] == sum(value.numel() for value in weights.values())
    per_pixel = {name: value.numel() for name, value in weights.items() if name.endswith("weight")}
    enlarged = {"conv_up1.weight": 4, "conv_up2.weight": 16, "conv_hr.weight": 16, "conv_last.weight": 16}
    assert found["macs"] == 64 * 64 * sum(count * enlarged.get(name, 1) for name, count in per_pixel.items())
    assert found["output"] == [1, 3, 256, 256]
    for words, message in (
        (("spandrel",), "method `spandrel` runs others' checkpoints: name one with --given"),
        (("spandrel", "--given", "absent.pth"), "absent.pth: no such file"),
        (("tvqrap", "--given", "net.pth"), "method `tvqrap` runs no checkpoint of others"),
        (("images",), "method `images` has no network"),
        (("images", "--given", "net.pth"), "method `images` has no network"),
        (("tvqrap", "--given", "net.pth", "--training"), "--given is not of --training"),
        (("spandrel", "--training"), "method `spandrel` has nothing to train"),
    ):
        result = tvqsr("efficiency", *words)
        assert result.returncode == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_photo_of_the_users(preset: Callable[..., Path], workspace: Path, tvqsr: Command, photo: Path) -> None:
    weights = rrdb_weights()
    torch.save(weights, "net.pth")
    entries = {"theirs": {"method": "spandrel", "given": "net.pth"}, "folder": {"method": "images", "given": "outputs"}}
    path = preset(lambda p: p.update(entries=entries))
    assert tvqsr("record", "--preset", path).returncode == 0
    result = tvqsr("upscale", "--entry", "theirs", "--run", "results/mine", photo, "large.png")
    assert result.returncode == 0, result.stderr
    lr = torch.from_numpy(read_image(photo).copy()).permute(2, 0, 1)[None].float() / 255
    expected = rrdbnet(weights, lr, blocks=2).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(read_image(Path("large.png")) - expected).max() <= 0.51
    result = tvqsr("upscale", "--entry", "folder", "--run", "results/mine", photo, "other.png")
    assert result.returncode == 2
    assert "entry `folder` is given finished outputs and makes none of other photos" in result.stderr
    assert not Path("other.png").exists()
