"""What was made faster computes what it did before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tvqsr.efficiency.fresh import FreshStages
from tvqsr.nn.blocks import GroupNorm
from tvqsr.nn.linear import Linear
from tvqsr.nn.swin import SwinStack
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin
from tvqsr.upscale.job import ready


@pytest.mark.parametrize("shape", [(3, 5, 7, 64), (40, 16, 64), (9, 64)])
@pytest.mark.parametrize("features", [96, 24])
def test_a_linear_layer_and_its_gradients_are_torchs(shape: tuple[int, ...], features: int) -> None:
    """Of 64 channels to 96 by way of a convolution, to 24 not."""
    torch.manual_seed(0)
    layer = Linear(64, features)
    exact = copy.deepcopy(layer).double()
    assert list(layer.state_dict()) == list(nn.Linear(1, 1).state_dict())
    x = torch.randn(shape, requires_grad=True)
    x_exact = x.detach().double().requires_grad_()
    towards = torch.randn(*shape[:-1], features)
    found, expected = layer(x), nn.Linear.forward(exact, x_exact)
    found.backward(towards)
    expected.backward(towards.double())
    assert torch.allclose(found.double(), expected, atol=1e-5)
    assert x.grad is not None
    assert x_exact.grad is not None
    assert torch.allclose(x.grad.double(), x_exact.grad, atol=1e-5)
    for ours, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(ours.grad.double(), theirs.grad, rtol=1e-5, atol=1e-4)


def as_before(stack: SwinStack, x: Tensor) -> Tensor:
    """The stack in float64 with torch's own linear layers."""
    exact = copy.deepcopy(stack).double()
    for name, part in list(exact.named_modules()):
        if isinstance(part, Linear):
            plain = nn.Linear(part.in_features, part.out_features, dtype=torch.float64)
            plain.load_state_dict(part.state_dict())
            exact.set_submodule(name, plain)
    return exact(x.double())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("conv", [False, True])
def test_a_swin_stack_in_either_layout(layout: torch.memory_format, conv: bool) -> None:
    torch.manual_seed(0)
    stack = SwinStack(64, depth=2, heads=4, window=4, conv=conv)
    x = torch.randn(2, 64, 9, 8)
    with torch.no_grad():
        expected = as_before(stack, x)
        found = stack.to(memory_format=layout)(x.contiguous(memory_format=layout))
    assert found.is_contiguous(memory_format=layout)
    assert float((found - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize("stage", ["rap", "tokenizer"])
def test_an_upscaler_in_inference_against_float64(stage: str) -> None:
    """At the paper's norms and windows and a quarter of its width, against float64."""
    torch.manual_seed(0)
    method = load_method("tvqrap", "here")
    trained = FreshStages({"width": 16, "codebook_size": 64}).build(method, stage)
    exact = load_plugin(method).upscaler(trained).double().eval()
    model, _ = ready(load_plugin(method).upscaler(trained), gpus=0)
    side = 64 if stage == "rap" else 256
    image = torch.rand(1, 3, side, side)
    with torch.no_grad():
        expected = exact(image.double())
        assert torch.equal(model.codes(image)[0], exact.codes(image.double())[0])
        assert float((model(image) - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize(("channels", "side", "groups"), [(64, 256, 32), (6, 40, 3), (4, 3, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_group_norm_in_inference_against_float64(channels: int, side: int, groups: int, batch: int) -> None:
    """On maps with means of their own. torch's is off by more than 1e-6 on the large one in this layout."""
    torch.manual_seed(0)
    norm = GroupNorm(groups, channels, eps=1e-6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = (1.5 * torch.randn(batch, channels, side, side) + torch.randn(1, channels, 1, 1)).contiguous(
        memory_format=torch.channels_last
    )
    exact = nn.functional.group_norm(x.double(), groups, norm.weight.double(), norm.bias.double(), norm.eps)
    with torch.inference_mode():
        found = norm(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert float((found - exact.detach()).norm() / exact.detach().norm()) < 2e-7
    assert torch.equal(norm(x), nn.GroupNorm.forward(norm, x)), "trainings have torch's"
