"""RRDBNet: the published size and names, its arithmetic against a second spelling of it, and its training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.untrained import batch, weights_of
from tvqsr.contract import Trained
from tvqsr.nn.rrdb import DenseBlock, RrdbNet, RrdbShape
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

SMALL = RrdbShape(width=6, blocks=2, growth=4)


def spelled_out(weights: dict[str, Tensor], lr: Tensor, blocks: int) -> Tensor:
    """ESRGAN's generator (arXiv 1809.00219, figures 3 and 4), from named weights alone."""

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def lrelu(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    def dense(name: str, x: Tensor) -> Tensor:
        maps = [x]
        for i in range(1, 5):
            maps.append(lrelu(conv(f"{name}.conv{i}", torch.cat(maps, 1))))
        return x + 0.2 * conv(f"{name}.conv5", torch.cat(maps, 1))

    shallow = conv("conv_first", lr)
    deep = shallow
    for block in range(blocks):
        inner = deep
        for part in ("rdb1", "rdb2", "rdb3"):
            inner = dense(f"body.{block}.{part}", inner)
        deep = deep + 0.2 * inner
    x = shallow + conv("conv_body", deep)
    for name in ("conv_up1", "conv_up2"):
        x = lrelu(conv(name, x.repeat_interleave(2, -1).repeat_interleave(2, -2)))
    return conv("conv_last", lrelu(conv("conv_hr", x)))


def test_the_published_size() -> None:
    """Counted from the layers in the paper: 16.698 M."""
    with torch.device("meta"):
        network = RrdbNet(RrdbShape(64, 23, 32))
    dense = sum(9 * (64 + 32 * i) * (32 if i < 4 else 64) + (32 if i < 4 else 64) for i in range(5))
    head, trunk, last = 9 * 3 * 64 + 64, 9 * 64 * 64 + 64, 9 * 64 * 3 + 3
    assert sum(p.numel() for p in network.parameters()) == 23 * 3 * dense + head + 4 * trunk + last


def test_it_computes_what_the_paper_draws() -> None:
    torch.manual_seed(0)
    network = RrdbNet(SMALL).double()
    for parameter in network.parameters():
        # The dense blocks start next to identity, which would hide an error in them.
        torch.nn.init.normal_(parameter, std=0.3)
    lr = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        found, expected = network(lr), spelled_out(dict(network.state_dict()), lr, SMALL.blocks)
    assert found.shape == (2, 3, 20, 28)
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_dense_blocks_start_at_a_tenth_of_he() -> None:
    torch.manual_seed(0)
    weight = DenseBlock(64, 32).conv4.weight
    he = (2 / (9 * (64 + 3 * 32))) ** 0.5
    assert float(weight.detach().std()) == pytest.approx(0.1 * he, rel=0.02)


def test_its_loss_is_l1_and_its_weights_come_back() -> None:
    method = load_method("rrdb", "here")
    plugin = load_plugin(method)
    torch.manual_seed(0)
    settings = {"width": 6, "blocks": 2, "growth": 4}
    stage = plugin.stage("psnr", settings, {})
    given = batch()
    terms = stage.losses("generator", given, 0)
    with torch.no_grad():
        sr = stage.networks["generator"](given.lr)
    assert terms["pixel"].item() == pytest.approx(float((sr - given.hr).abs().mean()), rel=1e-5)
    assert list(terms) == ["pixel"]
    upscaler = plugin.upscaler(Trained("psnr", settings, weights_of(stage.networks), {}))
    assert torch.equal(upscaler(given.lr), sr)
