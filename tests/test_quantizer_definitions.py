"""Each quantiser against its definition, in float64, or against another library."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.quantizer_family import DIM, features_of, made, nearest, rows
from tvqsr.errors import UserError
from tvqsr.nn.quantizers import FSQ_LEVELS, QuantizerSpec, new_quantizer
from tvqsr.nn.quantizers.ema import EmaQuantizer
from tvqsr.nn.quantizers.fsq import FiniteScalarQuantizer
from tvqsr.nn.quantizers.grouped import GroupedQuantizer
from tvqsr.nn.quantizers.hierarchical import HierarchicalQuantizer
from tvqsr.nn.quantizers.lfq import LookupFreeQuantizer
from tvqsr.nn.quantizers.residual import ResidualQuantizer
from tvqsr.nn.quantizers.rotation import RotationQuantizer
from tvqsr.nn.quantizers.simvq import SimVectorQuantizer


def test_residual_passes_by_loops() -> None:
    """Codes, indices, loss and all gradients of RQ, one position at a time."""
    quantizer = made(QuantizerSpec("rq", 6, 3, DIM, "textbook"))
    assert isinstance(quantizer, ResidualQuantizer)
    features = features_of(2, DIM, 3, 2, grad=True)
    quantized = quantizer(features)
    quantized.loss.backward()
    codebook = quantizer.embedding.weight.detach().double()
    pull, push = torch.zeros_like(codebook), torch.zeros(12, DIM, dtype=torch.float64)
    loss = torch.zeros((), dtype=torch.float64)
    for number, z in enumerate(rows(features)):
        total = torch.zeros(DIM, dtype=torch.float64)
        for depth in range(3):
            left = z - total
            chosen = int((codebook - left).square().sum(dim=1).argmin())
            assert int(quantized.indices[depth].flatten()[number]) == chosen
            total = total + codebook[chosen]
            off = z - total
            loss += 1.25 * off.square().sum()
            push[number] += 0.25 * 2 * off
            pull[chosen] += -2 * off
        assert torch.allclose(rows(quantized.codes)[number], total, atol=1e-5)
    terms = 3 * features.numel()
    assert quantized.loss.item() == pytest.approx(loss.item() / terms, rel=1e-5)
    assert features.grad is not None and quantizer.embedding.weight.grad is not None
    assert torch.allclose(rows(features.grad), push / terms, atol=1e-7)
    assert torch.allclose(quantizer.embedding.weight.grad.double(), pull / terms, atol=1e-7)


def test_a_residual_code_passes_its_gradient_straight() -> None:
    quantizer = made(QuantizerSpec("rq", 6, 3, DIM, "tvqrap"))
    features, weights = features_of(2, DIM, 3, 2, grad=True), features_of(2, DIM, 3, 2, seed=2)
    (quantizer(features).codes * weights).sum().backward()
    assert features.grad is not None and torch.equal(features.grad, weights)
    assert all(parameter.grad is None for parameter in quantizer.parameters())


def test_more_passes_are_closer() -> None:
    """With zero among the codes a pass can only help."""
    errors = []
    features = features_of(2, DIM, 8, 8)
    for depth in (1, 2, 4):
        quantizer = made(QuantizerSpec("rq", 32, depth, DIM, "textbook"))
        assert isinstance(quantizer, ResidualQuantizer)
        quantizer.embedding.weight.data[0] = 0
        errors.append(float((quantizer(features).codes - features).square().mean()))
    assert errors[0] > errors[1] > errors[2]


def test_rotation_gradient_is_that_of_the_matrix() -> None:
    """(|q| / |z|) R' g, R = I - 2 w w' + 2 q^ z^' built for each position; and as vector-quantize-pytorch has it."""
    from vector_quantize_pytorch.vector_quantize_pytorch import rotate_to

    quantizer, plain = (made(QuantizerSpec(kind, 16, 1, DIM, "textbook")) for kind in ("rotation", "vq"))
    assert isinstance(quantizer, RotationQuantizer)
    features, weights = features_of(2, DIM, 3, 2, grad=True), features_of(2, DIM, 3, 2, seed=2)
    quantized = quantizer(features)
    assert torch.equal(quantized.codes, quantizer.lookup(quantized.indices))
    assert torch.equal(quantized.loss, plain(features).loss)
    (found,) = torch.autograd.grad((quantized.codes * weights).sum(), features)
    codes = rows(quantizer.lookup(quantized.indices))
    for z, q, g, got in zip(rows(features), codes, rows(weights), rows(found), strict=True):
        z_hat, q_hat = z / z.norm(), q / q.norm()
        w = (z_hat + q_hat) / (z_hat + q_hat).norm()
        matrix = torch.eye(DIM, dtype=torch.float64) - 2 * torch.outer(w, w) + 2 * torch.outer(q_hat, z_hat)
        assert torch.allclose(q.norm() / z.norm() * matrix @ z, q, atol=1e-9)
        assert torch.allclose(matrix @ matrix.t(), torch.eye(DIM, dtype=torch.float64), atol=1e-9)
        assert torch.allclose(q.norm() / z.norm() * matrix.t() @ g, got, atol=1e-5)
    flat = rows(features).float().requires_grad_()
    (rotate_to(flat, codes.float()) * rows(weights).float()).sum().backward()
    assert flat.grad is not None and torch.allclose(flat.grad.double(), rows(found), atol=1e-5)


def test_running_averages_against_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six steps beside vector-quantize-pytorch, whose restart of dead codes is off, as ours is made to be."""
    from vector_quantize_pytorch import VectorQuantize

    monkeypatch.setattr(EmaQuantizer, "FEWEST", 0.0)
    ours = made(QuantizerSpec("vq_ema", 16, 1, DIM, "textbook"))
    assert isinstance(ours, EmaQuantizer)
    theirs = VectorQuantize(
        dim=DIM, codebook_size=16, decay=0.99, eps=1e-5, commitment_weight=0.25, threshold_ema_dead_code=0,
        kmeans_init=False, rotation_trick=False,
    )  # fmt: skip
    theirs._codebook.embed.data.copy_(ours.codes[None])
    theirs._codebook.embed_avg.data.copy_(ours.codes[None])
    theirs.train()
    for step in range(6):
        features = features_of(2, DIM, 4, 6, seed=10 + step)
        quantized = ours(features, step)
        codes, indices, loss = theirs(features.movedim(1, 3).reshape(1, -1, DIM))
        assert torch.equal(quantized.indices[0].flatten(), indices[0])
        assert torch.allclose(rows(quantized.codes), codes[0].double(), atol=1e-6)
        assert quantized.loss.item() == pytest.approx(float(loss), rel=1e-5)
        assert torch.allclose(ours.codes, theirs.codebook, atol=1e-6)
    assert not torch.allclose(ours.codes, made(QuantizerSpec("vq_ema", 16, 1, DIM, "textbook")).vectors()[0])


def test_codes_that_nothing_chooses_are_put_on_features() -> None:
    quantizer = made(QuantizerSpec("vq_ema", 8, 1, DIM, "textbook"))
    assert isinstance(quantizer, EmaQuantizer)
    quantizer.codes[3:] = 1000 + torch.arange(5.0)[:, None]
    quantizer.sums.copy_(quantizer.codes)
    features = features_of(2, DIM, 4, 6)
    chosen = quantizer(features, 0).indices[0]
    assert int(chosen.max()) < 3
    there = rows(features).float()
    assert all(bool((there == code).all(dim=1).any()) for code in quantizer.codes[3:])
    assert torch.equal(quantizer.counts[3:], torch.ones(5)) and torch.equal(quantizer.sums[3:], quantizer.codes[3:])
    expected = [0.99 + 0.01 * int((chosen == code).sum()) for code in range(3)]
    assert quantizer.counts[:3].tolist() == pytest.approx(expected, rel=1e-5)
    # Codes begin near zero, features far away: within a few steps most are in use, without k-means.
    torch.manual_seed(0)
    fresh = new_quantizer(QuantizerSpec("vq_ema", 16, 1, DIM, "textbook"))
    far = 5 + features_of(2, DIM, 8, 8)
    assert len(fresh.indices(far)[0].unique()) < 4
    for step in range(3):
        fresh(far, step)
    assert len(fresh.indices(far)[0].unique()) > 8


@pytest.mark.parametrize(("convention", "codebook", "commit"), [("textbook", 1.0, 0.25), ("tvqrap", 0.25, 1.0)])
def test_groups_are_quantised_apart(convention: Any, codebook: float, commit: float) -> None:
    quantizer = made(QuantizerSpec("grouped", 6, 2, DIM, convention))
    assert isinstance(quantizer, GroupedQuantizer)
    features = features_of(2, DIM, 3, 2, grad=True)
    quantized = quantizer(features)
    parts = []
    for number, vectors in enumerate(quantizer.vectors()):
        assert vectors.shape == (6, DIM // 2)
        own = rows(features)[:, number * DIM // 2 : (number + 1) * DIM // 2]
        chosen = nearest(own, vectors)
        assert torch.equal(quantized.indices[number].flatten(), chosen)
        parts.append(vectors.detach().double()[chosen])
    expected = torch.cat(parts, dim=1)
    assert torch.allclose(rows(quantized.codes), expected, atol=1e-6)
    distance = (rows(features) - expected).square().mean()
    assert quantized.loss.item() == pytest.approx((codebook + commit) * float(distance), rel=1e-5)
    quantized.loss.backward()
    assert features.grad is not None
    assert torch.allclose(rows(features.grad), commit * 2 * (rows(features) - expected) / features.numel(), atol=1e-7)


def test_the_fine_codes_are_chosen_given_the_coarse() -> None:
    """Both levels, straight from the layers' weights in float64."""
    quantizer = made(QuantizerSpec("hierarchical", 6, 2, DIM, "textbook"))
    assert isinstance(quantizer, HierarchicalQuantizer)
    features = features_of(2, DIM, 4, 6)
    quantized = quantizer(features)
    weights = {name: value.detach().double() for name, value in quantizer.named_parameters()}

    def picked(there: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
        b, _, h, w = there.shape
        chosen = nearest(rows(there), codebook)
        return chosen.view(b, h, w), codebook[chosen].view(b, h, w, DIM).movedim(3, 1)

    z = features.double()
    coarse = F.conv2d(z, weights["down.weight"], weights["down.bias"], stride=2, padding=1)
    top, top_codes = picked(coarse, weights["top.embedding.weight"])
    raised = F.conv_transpose2d(top_codes, weights["up.weight"], weights["up.bias"], stride=2, padding=1)
    fine = F.conv2d(torch.cat([z, raised], dim=1), weights["given.weight"], weights["given.bias"])
    bottom, bottom_codes = picked(fine, weights["bottom.embedding.weight"])
    assert torch.equal(quantized.indices[0], top) and torch.equal(quantized.indices[1], bottom)
    assert torch.allclose(quantized.codes.double(), bottom_codes + raised, atol=1e-5)
    distances = (coarse - top_codes).square().mean() + (fine - bottom_codes).square().mean()
    assert quantized.loss.item() == pytest.approx(1.25 * float(distances), rel=1e-5)
    quantizer(features, 0).codes.square().sum().backward()
    assert all(getattr(quantizer, layer).weight.grad.abs().sum() > 0 for layer in ("down", "up", "given"))


def test_features_without_a_half_are_refused() -> None:
    quantizer = made(QuantizerSpec("hierarchical", 6, 2, DIM, "textbook"))
    with pytest.raises(UserError, match="5 x 6 positions have no half; make hr_crop a multiple of 16"):
        quantizer(features_of(1, DIM, 5, 6))


@pytest.mark.parametrize("levels", [(4, 4), (8, 6, 5), (5, 3)])
def test_scalars_are_rounded_to_their_levels(levels: tuple[int, ...]) -> None:
    """Each dimension by itself: tanh to (L - 1) / 2, half a step aside for even L, rounded, in units of L // 2."""
    torch.manual_seed(0)
    quantizer = FiniteScalarQuantizer(levels, DIM)
    nn.init.normal_(quantizer.grid.project_in.weight)
    features = features_of(2, DIM, 8, 8)
    (indices,) = quantizer.indices(features)
    inner = F.linear(
        rows(features), quantizer.grid.project_in.weight.double(), quantizer.grid.project_in.bias.double()
    ).detach()
    expected = torch.zeros(len(inner), dtype=torch.int64)
    for number, level in enumerate(levels):
        half = (level - 1) * 1.001 / 2
        aside = 0.5 if level % 2 == 0 else 0.0
        shift = torch.atanh(torch.tensor(aside / half, dtype=torch.float64))
        grid = (torch.tanh(inner[:, number] + shift) * half - aside).round()
        assert -(level // 2) <= float(grid.min()) and float(grid.max()) <= level - 1 - level // 2
        expected += prod(levels[:number]) * (grid + level // 2).long()
    assert torch.equal(indices.flatten(), expected)
    steps = [[(value - level // 2) / (level // 2) for value in range(level)] for level in levels]
    every_code = torch.tensor([tuple(reversed(code)) for code in product(*reversed(steps))])
    vectors = F.linear(every_code, quantizer.grid.project_out.weight, quantizer.grid.project_out.bias)
    assert torch.allclose(quantizer.vectors()[0], vectors, atol=1e-6)
    assert len(vectors) == prod(levels) == quantizer.codebooks[0].size


def test_fsq_sizes_are_products_of_their_levels() -> None:
    assert all(prod(levels) == size for size, levels in FSQ_LEVELS.items())
    # The paper's advice for its own.
    assert all(min(levels) >= 5 for size, levels in FSQ_LEVELS.items() if size >= 240)


def test_signs_make_the_index_and_entropy_the_loss() -> None:
    torch.manual_seed(0)
    quantizer = LookupFreeQuantizer(16, DIM)
    # Small projections: otherwise the softened probabilities are all zeros and ones.
    quantizer.signs.project_in.weight.data.mul_(0.02)
    quantizer.signs.project_in.bias.data.zero_()
    features = features_of(2, DIM, 4, 6)
    quantized = quantizer(features, 0)
    inner = F.linear(rows(features), quantizer.signs.project_in.weight.double().detach())
    index = sum((inner[:, bit] > 0).long() * 2 ** (3 - bit) for bit in range(4))
    assert torch.equal(quantized.indices[0].flatten(), torch.as_tensor(index))
    codes = torch.tensor(list(product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    # exp(-100 |x - c|^2) but for what is the same for all codes.
    probabilities = (200 * inner @ codes.t()).softmax(dim=1)

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.clamp(min=1e-5).log()).sum(dim=-1)

    expected = 0.1 * (entropy(probabilities).mean() - entropy(probabilities.mean(dim=0)))
    assert abs(float(expected)) > 0.01
    assert quantized.loss.item() == pytest.approx(float(expected), rel=1e-4)
    assert torch.allclose(
        quantizer.vectors()[0],
        F.linear(codes.float(), quantizer.signs.project_out.weight) + quantizer.signs.project_out.bias,
    )


@pytest.mark.parametrize(("convention", "codebook", "commit"), [("textbook", 1.0, 0.25), ("tvqrap", 0.25, 1.0)])
def test_simvq_moves_all_codes_by_one_layer(convention: Any, codebook: float, commit: float) -> None:
    quantizer = made(QuantizerSpec("simvq", 16, 1, DIM, convention))
    assert isinstance(quantizer, SimVectorQuantizer)
    features, weights = features_of(2, DIM, 3, 2, grad=True), features_of(2, DIM, 3, 2, seed=2)
    quantized = quantizer(features)
    layer = quantizer.moved.code_transform.weight
    frozen = quantizer.moved.frozen_codebook.double()
    chosen = nearest(rows(features), frozen @ layer.double().t())
    assert torch.equal(quantized.indices[0].flatten(), chosen)
    codes = (frozen @ layer.detach().double().t())[chosen]
    off = rows(features) - codes
    assert quantized.loss.item() == pytest.approx((codebook + commit) * float(off.square().mean()), rel=1e-5)
    (straight,) = torch.autograd.grad((quantized.codes * weights).sum(), features, retain_graph=True)
    assert torch.equal(straight, weights)
    quantized.loss.backward()
    assert [name for name, _ in quantizer.named_parameters()] == ["moved.code_transform.weight"]
    assert features.grad is not None
    assert torch.allclose(rows(features.grad), commit * 2 * off / off.numel(), atol=1e-7)
    assert torch.allclose(layer.grad.double(), codebook * -2 * off.t() @ frozen[chosen] / off.numel(), atol=1e-6)
