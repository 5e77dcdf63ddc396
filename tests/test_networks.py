"""Blocks, attention and quantisers, against independent computations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Codebook
from tvqsr.nn.adversarial import adaptive_weight, discriminator_hinge, generator_hinge
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.blocks import ChannelNorm
from tvqsr.nn.index_predictor import IndexHead, index_loss
from tvqsr.nn.quantize import VectorQuantizer, straight_through_lookup
from tvqsr.nn.swin import SwinBlock, SwinStack


def test_channel_norm_sees_one_position_at_a_time() -> None:
    norm = ChannelNorm(8)
    x = torch.randn(2, 8, 4, 4)
    whole = norm(x)
    assert torch.allclose(whole[:, :, 1:3, 2:3], norm(x[:, :, 1:3, 2:3]), atol=1e-6)
    assert torch.allclose(whole.mean(dim=1), torch.zeros(2, 4, 4), atol=1e-5)


def attention_by_loops(block: SwinBlock, x: Tensor) -> Tensor:
    """Window attention of one block on (1, H, W, C), one query at a time, straight from the definition."""
    _, height, width, channels = x.shape
    attn, window, shift = block.attn, block.window, block.shift
    heads, dim = attn.heads, channels // attn.heads
    qkv = F.linear(block.norm1(x), attn.qkv.weight, attn.qkv.bias).view(height, width, 3, heads, dim)
    bias = attn.relative_position_bias_table.view(2 * window - 1, 2 * window - 1, heads)

    def home(row: int, column: int) -> tuple[int, int]:
        """The window of a position in the shifted grid; rows that wrap round get windows of their own."""
        return (row - shift) // window, (column - shift) // window

    out = torch.zeros(height, width, heads, dim)
    for row in range(height):
        for column in range(width):
            near = [(r, c) for r in range(height) for c in range(width) if home(r, c) == home(row, column)]
            for head in range(heads):
                query = qkv[row, column, 0, head] / dim**0.5
                logits = torch.stack(
                    [
                        query @ qkv[r, c, 1, head] + bias[row - r + window - 1, column - c + window - 1, head]
                        for r, c in near
                    ]
                )
                values = torch.stack([qkv[r, c, 2, head] for r, c in near])
                out[row, column, head] = logits.softmax(0) @ values
    return F.linear(out.reshape(1, height, width, channels), attn.proj.weight, attn.proj.bias)


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (3, 5)])
@pytest.mark.parametrize("shift", [0, 2])
def test_window_attention_of_any_size(size: tuple[int, int], shift: int) -> None:
    torch.manual_seed(0)
    block = SwinBlock(dim=8, heads=2, window=4, shift=shift)
    x = torch.randn(1, *size, 8)
    with torch.no_grad():
        y = x + attention_by_loops(block, x)
        expected = y + block.mlp(block.norm2(y))
        assert torch.allclose(block(x), expected, atol=1e-5)


def test_a_batch_attends_as_each_image_alone() -> None:
    torch.manual_seed(0)
    stack = SwinStack(8, depth=2, heads=2, window=4, conv=True)
    x = torch.randn(3, 8, 7, 9)
    assert torch.allclose(stack(x), torch.cat([stack(image[None]) for image in x]), atol=1e-5)


@pytest.mark.parametrize(
    ("convention", "codebook_share", "commit_share"), [("textbook", 1.0, 0.25), ("tvqrap", 0.25, 1.0)]
)
def test_which_term_carries_beta(convention: str, codebook_share: float, commit_share: float) -> None:
    """Gradients of the two terms: those of the mean squared distance, times their weights, on their own side only."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(4, 3, convention)  # type: ignore[arg-type]
    features = torch.randn(2, 3, 2, 2, requires_grad=True)
    quantized = quantizer(features)
    quantized.loss.backward()
    difference = quantizer.lookup(quantized.indices) - features
    expected = -2 * difference / difference.numel()
    assert features.grad is not None
    assert torch.allclose(features.grad, commit_share * expected.detach())
    rows = torch.zeros(4, 3)
    flat = (-expected).permute(0, 2, 3, 1).reshape(-1, 3).detach()
    rows.index_add_(0, quantized.indices[0].flatten(), flat)
    assert quantizer.embedding.weight.grad is not None
    assert torch.allclose(quantizer.embedding.weight.grad, codebook_share * rows, atol=1e-7)


def test_codes_pass_their_gradient_straight_to_the_features() -> None:
    quantizer = VectorQuantizer(4, 3, "textbook")
    features = torch.randn(1, 3, 2, 2, requires_grad=True)
    codes = quantizer(features).codes
    assert torch.allclose(codes, quantizer.lookup(quantizer.indices(features)), atol=1e-6)
    weights = torch.randn_like(codes)
    (codes * weights).sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad, weights)
    assert quantizer.embedding.weight.grad is None


def test_before_quantisation_begins_features_pass_and_then_fill_the_codebook() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(32, 3, "textbook", quantize_from=20)
    before = quantizer.embedding.weight.detach().clone()
    features = torch.randn(2, 3, 4, 4)
    passed = quantizer(features, step=3)
    assert torch.equal(passed.codes, features)
    assert float(passed.loss) == 0
    assert torch.equal(quantizer.embedding.weight, before)
    for step in range(4, 20):
        quantizer(features, step=step)
    vectors = features.permute(0, 2, 3, 1).reshape(-1, 3)
    assert all(bool((vectors == code).all(dim=1).any()) for code in quantizer.embedding.weight)
    assert not torch.equal(quantizer(features, step=20).codes, features)
    # In inference there is no step: quantisation is always on.
    assert torch.allclose(quantizer(features).codes, quantizer.lookup(quantizer.indices(features)), atol=1e-6)


def test_a_head_tells_each_codebook_on_its_own_grid() -> None:
    torch.manual_seed(0)
    shape = Shape(width=4, depth=1, norm="channel", heads=2, window=4)
    codebooks = (Codebook(5, stride=16), Codebook(7, stride=8))
    head = IndexHead(shape, 6, 1, codebooks)
    features = torch.randn(2, 6, 8, 4)
    coarse, fine = head(features)
    assert coarse.shape == (2, 5, 4, 2) and fine.shape == (2, 7, 8, 4)
    single = IndexHead(shape, 6, 1, (Codebook(12),))
    single.load_state_dict(head.state_dict())
    (both,) = single(features)
    assert torch.allclose(both[:, 5:], fine)
    assert torch.allclose(both[:, :5].unflatten(2, (4, 2)).unflatten(4, (2, 2)).mean(dim=(3, 5)), coarse, atol=1e-6)
    truth = tuple(part.argmin(dim=1) for part in (coarse, fine))
    losses = [
        -part.log_softmax(dim=1).gather(1, t[:, None]).mean() for part, t in zip((coarse, fine), truth, strict=True)
    ]
    assert torch.allclose(index_loss((coarse, fine), truth), (losses[0] + losses[1]) / 2)


def test_straight_through_lookup_is_a_lookup_forward_and_a_softmax_backward() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 2, 2, dtype=torch.float32, requires_grad=True)
    quantizer = VectorQuantizer(5, 3, "textbook")
    codebook = nn.init.normal_(quantizer.embedding.weight)
    codes = straight_through_lookup([logits], quantizer)
    expected = codebook[logits.argmax(dim=1)].permute(0, 3, 1, 2)
    assert torch.allclose(codes, expected, atol=1e-6)
    weights = torch.randn_like(codes)
    (codes * weights).sum().backward()
    soft_logits = logits.detach().clone().requires_grad_()
    soft = torch.einsum("bkhw,kd->bdhw", soft_logits.softmax(dim=1), codebook.detach())
    (soft * weights).sum().backward()
    assert logits.grad is not None
    assert soft_logits.grad is not None
    assert torch.allclose(logits.grad, soft_logits.grad, atol=1e-6)
    assert codebook.grad is None


def test_hinge_losses() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    assert float(discriminator_hinge(real, fake)) == pytest.approx(0.5 * (0.25 + 0.75))
    assert float(generator_hinge(fake)) == pytest.approx(1.25)


def test_adaptive_weight_balances_gradients() -> None:
    at = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    weight = adaptive_weight((at * torch.tensor([6.0, 8.0])).sum(), (at * torch.tensor([0.0, 2.0])).sum(), at)
    assert float(weight) == pytest.approx(10 / (2 + 1e-4))
    assert not weight.requires_grad
    assert float(adaptive_weight((at * 1e9).sum(), (at * 0).sum(), at)) == 1e4
