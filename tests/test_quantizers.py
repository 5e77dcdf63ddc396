"""The family of quantisers: what all must do alike, and each against its definition, in float64 or by another library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import log2, prod
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.untrained import ChangedPreset, batch, run_of, untrained, with_settings
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.prepare import prepare
from tvqsr.errors import UserError
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.index_predictor import IndexHead, index_loss, likeliest
from tvqsr.nn.quantize import Quantizer, straight_through_lookup
from tvqsr.nn.quantizers import FSQ_LEVELS, QuantizerKind, QuantizerSpec, new_quantizer
from tvqsr.nn.quantizers.ema import EmaQuantizer
from tvqsr.nn.quantizers.fsq import FiniteScalarQuantizer
from tvqsr.nn.quantizers.grouped import GroupedQuantizer
from tvqsr.nn.quantizers.hierarchical import HierarchicalQuantizer
from tvqsr.nn.quantizers.lfq import LookupFreeQuantizer
from tvqsr.nn.quantizers.residual import ResidualQuantizer
from tvqsr.nn.quantizers.rotation import RotationQuantizer
from tvqsr.nn.quantizers.simvq import SimVectorQuantizer
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.plugins import load_plugin
from tvqsr.report.page import variants
from tvqsr.train.loop import Fit, fit

DIM = 8
SIZES: dict[QuantizerKind, tuple[int, int]] = {"rq": (6, 3), "grouped": (6, 2), "hierarchical": (6, 2)}
SPECS = [
    QuantizerSpec(kind, *SIZES.get(kind, (16, 1)), dim=DIM, convention="textbook") for kind in get_args(QuantizerKind)
]
FILLED = ("vq", "vq_ema", "rq", "grouped", "hierarchical", "rotation")
"""Those that wait for `quantize_from`."""

every = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)


def made(spec: QuantizerSpec, seed: int = 0) -> Quantizer:
    """A quantiser whose codes are as far apart as features are: freshly made, they lie close to zero."""
    torch.manual_seed(seed)
    quantizer = new_quantizer(spec)
    for vectors in quantizer.vectors() if spec.kind in FILLED else ():
        nn.init.normal_(vectors)
    return quantizer


def features_of(*shape: int, seed: int = 1, grad: bool = False) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


def rows(features: Tensor) -> Tensor:
    return features.detach().movedim(1, 3).reshape(-1, features.shape[1]).double()


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    return torch.cdist(vectors, codebook.detach().double()).argmin(dim=1)


# What all do alike.


@every
def test_codebooks_are_as_announced(spec: QuantizerSpec) -> None:
    quantizer = made(spec)
    assert quantizer.codebooks == spec.codebooks
    assert [len(vectors) for vectors in quantizer.vectors()] == [book.size for book in spec.codebooks]
    found = quantizer.indices(features_of(2, DIM, 4, 6))
    for book, indices in zip(spec.codebooks, found, strict=True):
        assert indices.shape == (2, 32 // book.stride, 48 // book.stride)
        assert indices.dtype == torch.int64
        assert 0 <= int(indices.min()) and int(indices.max()) < book.size
    assert all(len(indices.unique()) > 1 for indices in found)


@every
@pytest.mark.parametrize("step", [None, 0])
def test_decoding_the_indices_gives_what_was_quantised(spec: QuantizerSpec, step: int | None) -> None:
    quantizer = made(spec)
    features = features_of(2, DIM, 4, 6)
    expected = quantizer.indices(features)
    before = [vectors.detach().clone() for vectors in quantizer.vectors()]
    quantized = quantizer(features, step)
    assert all(torch.equal(*pair) for pair in zip(quantized.indices, expected, strict=True))
    found = [
        F.embedding(index, vectors).movedim(3, 1) for index, vectors in zip(quantized.indices, before, strict=True)
    ]
    assert torch.allclose(quantized.codes, quantizer.assemble(found), atol=1e-6)
    if step is None:
        assert torch.allclose(quantized.codes, quantizer.lookup(quantized.indices), atol=1e-6)


@every
def test_every_image_is_quantised_for_itself(spec: QuantizerSpec) -> None:
    quantizer = made(spec)
    features = features_of(3, DIM, 4, 6)
    whole, alone = quantizer(features), [quantizer(image[None]) for image in features]
    assert torch.allclose(whole.codes, torch.cat([one.codes for one in alone]), atol=1e-6)
    for number, indices in enumerate(whole.indices):
        assert torch.equal(indices, torch.cat([one.indices[number] for one in alone]))


@every
def test_a_predictor_trains_on_the_indices_and_is_decoded(spec: QuantizerSpec) -> None:
    quantizer = made(spec)
    features = features_of(2, DIM, 4, 6)
    quantized = quantizer(features)
    torch.manual_seed(0)
    head = IndexHead(Shape(width=2, depth=1, norm="channel", heads=2, window=4), DIM, 1, spec.codebooks)
    logits = head(features)
    loss = index_loss(logits, quantized.indices)
    loss.backward()
    assert head.linear.weight.grad is not None
    # Every output of the shared layer learns: none belongs to no codebook.
    assert bool(head.linear.weight.grad.abs().sum(dim=1).gt(0).all())
    sure = tuple(
        50 * F.one_hot(indices, book.size).movedim(3, 1).float()
        for indices, book in zip(quantized.indices, spec.codebooks, strict=True)
    )
    assert all(torch.equal(*pair) for pair in zip(likeliest(sure), quantized.indices, strict=True))
    assert torch.allclose(quantizer.lookup(likeliest(sure)), quantized.codes, atol=1e-6)


@every
def test_image_losses_reach_the_logits_of_every_codebook(spec: QuantizerSpec) -> None:
    """Against finite differences of the softened lookup: what the straight-through estimator puts in its place."""
    quantizer = made(spec).requires_grad_(False).double()
    logits = [
        features_of(1, book.size, 32 // book.stride, 32 // book.stride).double().requires_grad_()
        for book in spec.codebooks
    ]
    codes = straight_through_lookup(logits, quantizer)
    assert torch.allclose(codes, quantizer.lookup(likeliest(tuple(logits))).float(), atol=1e-5)
    weights = features_of(*codes.shape, seed=2)
    (codes * weights).sum().backward()

    def softened(parts: list[Tensor]) -> Tensor:
        mixed = [
            torch.einsum("bkhw,kd->bdhw", part.softmax(dim=1), vectors)
            for part, vectors in zip(parts, quantizer.vectors(), strict=True)
        ]
        return (quantizer.assemble(mixed) * weights.double()).sum()

    for number, part in enumerate(logits):
        nudge = torch.zeros_like(part)
        nudge[0, 1, 0, 1] = 1e-5
        sides = [[*logits[:number], part.detach() + sign * nudge, *logits[number + 1 :]] for sign in (1, -1)]
        expected = (softened(sides[0]) - softened(sides[1])).item() / 2e-5
        assert part.grad is not None
        assert part.grad[0, 1, 0, 1].item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


@every
def test_gradients_of_image_and_loss_reach_the_features(spec: QuantizerSpec) -> None:
    quantizer = made(spec)
    features = features_of(2, DIM, 4, 6, grad=True)
    quantized = quantizer(features, 0)
    (by_image,) = torch.autograd.grad(
        (quantized.codes * features_of(*features.shape, seed=2)).sum(), features, retain_graph=True
    )
    assert bool(by_image.isfinite().all()) and bool(by_image.abs().sum(dim=1).gt(0).all())
    assert quantized.loss.shape == () and bool(quantized.loss.isfinite())
    assert quantized.loss.requires_grad == (spec.kind != "fsq")


@every
def test_quantisation_is_fp32_whatever_the_networks_are(spec: QuantizerSpec) -> None:
    exact, mixed = made(spec), made(spec)
    features = features_of(2, DIM, 4, 6).bfloat16()
    expected = exact(features.float(), 0)
    with torch.autocast("cpu", torch.bfloat16):
        found = mixed(features, 0)
        indices = mixed.indices(features)
        waiting = mixed.indices(features.float())
    assert found.codes.dtype == torch.float32
    assert torch.equal(found.codes, expected.codes) and torch.equal(found.loss, expected.loss)
    assert all(torch.equal(*pair) for pair in zip(found.indices, expected.indices, strict=True))
    assert all(torch.equal(*pair) for pair in zip(indices, waiting, strict=True))


@every
def test_only_training_steps_change_anything(spec: QuantizerSpec) -> None:
    """A frozen tokenizer inside another stage is in training mode, too; it is not given a step."""
    quantizer = made(spec).train()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    features = features_of(2, DIM, 4, 6)
    quantized = quantizer(features)
    quantizer.indices(features)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())
    if spec.kind == "lfq":
        assert float(quantized.loss) == 0
    quantizer(features, 0)
    changed = {name for name, value in quantizer.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == ({"codes", "sums", "counts"} if spec.kind == "vq_ema" else set())


@every
def test_weights_hold_all_that_decides(spec: QuantizerSpec) -> None:
    one, other = made(spec, seed=0), made(spec, seed=1)
    features = features_of(2, DIM, 4, 6)
    one(features_of(2, DIM, 4, 6, seed=5), 0)
    assert not torch.allclose(one(features).codes, other(features).codes)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(features).codes, other(features).codes)
    again = made(spec, seed=0)
    again(features_of(2, DIM, 4, 6, seed=5), 0)
    assert torch.equal(one(features).codes, again(features).codes)


@every
def test_codes_wait_and_are_then_filled_or_need_no_remedy(spec: QuantizerSpec) -> None:
    torch.manual_seed(0)
    quantizer = new_quantizer(replace(spec, size=max(spec.size, 6), quantize_from=20))
    features = 3 + 0.1 * features_of(4, DIM, 8, 8)
    first = [vectors.detach().clone() for vectors in quantizer.vectors()]
    passed = quantizer(features, 3)
    if spec.kind not in FILLED:
        assert quantizer.quantize_from == 0
        assert torch.allclose(passed.codes, quantizer.lookup(passed.indices), atol=1e-6)
        return
    assert float(passed.loss) == 0
    assert all(torch.equal(*pair) for pair in zip(quantizer.vectors(), first, strict=True))
    if spec.kind != "hierarchical":
        assert torch.equal(passed.codes, features)
    for step in range(4, 20):
        quantizer(features, step)
    for vectors, start in zip(quantizer.vectors(), first, strict=True):
        assert not bool((vectors == start).any())
    # Features in one small cloud far from where codes begin: unfilled, all would fall on one code.
    used = [len(indices.unique()) / book.size for indices, book in zip(*_used(quantizer, features), strict=True)]
    assert min(used) > 0.5
    error = (quantizer(features, 20).codes - quantizer.unquantised(features)).square().mean()
    assert float(error) < 0.05


def _used(quantizer: Quantizer, features: Tensor) -> tuple[Any, Any]:
    return quantizer.indices(features), quantizer.codebooks


# Each by its definition.


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
    assert float(quantized.loss) == pytest.approx(float(loss) / terms, rel=1e-5)
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
    """(|q| / |z|) R' g with R = I - 2 w w' + 2 q^ z^', built for each position; and as vector-quantize-pytorch has it."""
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
    ours.sums.copy_(ours.codes)
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
        assert float(quantized.loss) == pytest.approx(float(loss), rel=1e-5)
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
    assert float(quantized.loss) == pytest.approx((codebook + commit) * float(distance), rel=1e-5)
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
    assert float(quantized.loss) == pytest.approx(1.25 * float(distances), rel=1e-5)
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
    assert 0.01 < abs(float(expected))
    assert float(quantized.loss) == pytest.approx(float(expected), rel=1e-4)
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
    assert float(quantized.loss) == pytest.approx((codebook + commit) * float(off.square().mean()), rel=1e-5)
    (straight,) = torch.autograd.grad((quantized.codes * weights).sum(), features, retain_graph=True)
    assert torch.equal(straight, weights)
    quantized.loss.backward()
    assert [name for name, _ in quantizer.named_parameters()] == ["moved.code_transform.weight"]
    assert features.grad is not None
    assert torch.allclose(rows(features.grad), commit * 2 * off / off.numel(), atol=1e-7)
    assert torch.allclose(layer.grad.double(), codebook * -2 * off.t() @ frozen[chosen] / off.numel(), atol=1e-6)


# In training: resumed to the bit, averages, frozen in later stages.


class Coded(Stage):
    """An auto-encoder of two layers round a quantiser."""

    def __init__(self, spec: QuantizerSpec, at: Callable[[int], None] = lambda _: None) -> None:
        networks = {
            "encoder": nn.Conv2d(3, DIM, 8, stride=8),
            "quantizer": new_quantizer(spec),
            "decoder": nn.ConvTranspose2d(DIM, 3, 8, stride=8),
        }
        super().__init__(networks, {"generator": tuple(networks)})
        self.at = at

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        self.at(step)
        quantized = self.networks["quantizer"](self.networks["encoder"](batch.hr), step)
        return {"pixel": (self.networks["decoder"](quantized.codes) - batch.hr).square().mean(), "vq": quantized.loss}


class StopError(Exception):
    pass


def _stop(step: int) -> None:
    if step == 7:
        raise StopError


@pytest.fixture
def sampler(photo: Path, tmp_path: Path) -> CropSampler:
    from tvqsr.plan.preset import DatasetSpec

    folder = tmp_path / "photos"
    folder.mkdir()
    photo.rename(folder / photo.name)
    prepare(DatasetSpec(folder=str(folder)), tmp_path / "store", True, print)
    training = Training(iterations=12, batch_size=2, hr_crop=32, learning_rate=0.01, betas=(0.5, 0.9), ema=0.5)
    return CropSampler(tmp_path / "store", training, seed=0)


@every
def test_a_killed_training_resumes_to_the_same_bits(spec: QuantizerSpec, sampler: CropSampler, tmp_path: Path) -> None:
    made_stages: list[Coded] = []

    def run(folder: str, at: Callable[[int], None] = lambda _: None) -> Fit:
        def build() -> Coded:
            made_stages.append(Coded(replace(spec, quantize_from=5), at))
            return made_stages[-1]

        runtime = Runtime(threads=1, gpus=0, checkpoint_seconds=1e-6, progress_seconds=100)
        return fit(build, sampler, seed=0, state=tmp_path / folder, key="k", runtime=runtime, label="test")

    whole = run("whole")
    final = {f"quantizer.{name}": value for name, value in made_stages[0].networks["quantizer"].state_dict().items()}
    with pytest.raises(StopError):
        run("cut", _stop)
    resumed = run("cut")
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(torch.equal(value, resumed.weights[name]) for name, value in whole.weights.items())
    # Buffers are saved as they stand at the end, parameters averaged.
    parameters = {f"quantizer.{name}" for name, _ in made_stages[0].networks["quantizer"].named_parameters()}
    for name, value in final.items():
        assert torch.equal(whole.weights[name], value) == (name not in parameters), name
    if spec.kind == "vq_ema":
        assert "quantizer.codes" in whole.weights and not parameters


@every
def test_every_stage_trains_with_every_quantiser(preset: ChangedPreset, spec: QuantizerSpec) -> None:
    tokenizer = {"quantizer": spec.kind, "codebook_size": spec.size, "codebook_count": spec.count}
    plan = with_settings(preset, "tvqrap", tokenizer=tokenizer)
    run = run_of(plan, "tvqrap", "rap")
    for stage in (untrained(part)[0] for part in run.lineage()):
        stage.train()
        frozen = getattr(stage, "tokenizer", None)
        before = {} if frozen is None else {name: value.clone() for name, value in frozen.state_dict().items()}
        loss = torch.stack(list(stage.losses(stage.generator, batch(), 0).values())).sum()
        loss.backward()
        assert bool(loss.isfinite())
        if frozen is not None:
            assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
    for part in run.lineage():
        upscaler = load_plugin(part.method).upscaler(untrained(part)[1]).eval()
        assert upscaler.codebooks == spec.codebooks
        side = upscaler.multiple
        with torch.no_grad():
            codes = upscaler.codes(torch.rand(1, 3, side, 2 * side))
        in_hr = side * (1 if part.reads == "hr" else 4)
        for book, indices in zip(spec.codebooks, codes, strict=True):
            assert indices.shape == (1, in_hr // book.stride, 2 * in_hr // book.stride)


# As settings.


@pytest.mark.parametrize(
    ("kind", "size", "count", "message"),
    [
        ("vq", 16, 2, "quantizer `vq` has 1, found 2"),
        ("hierarchical", 16, 1, "quantizer `hierarchical` has 2, found 1"),
        ("fsq", 1024, 1, "no levels for 1024 codes; take one of 16, 64, 240, 1000"),
        ("lfq", 1000, 1, "needs a power of two, found 1000"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(kind: Any, size: int, count: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        QuantizerSpec(kind, size, count, DIM, "textbook")


def test_channels_that_cannot_be_grouped_are_refused() -> None:
    with pytest.raises(UserError, match="8 channels cannot be divided into 3 groups"):
        new_quantizer(QuantizerSpec("grouped", 16, 3, DIM, "textbook"))


def test_both_methods_offer_the_whole_family_and_vq_explains_it() -> None:
    settings = {name: load_method(name, "test").spec.stages["tokenizer"].settings for name in ("vq", "tvqrap")}
    explained = settings["vq"]["quantizer"].choices
    assert isinstance(explained, dict)
    assert tuple(explained) == settings["tvqrap"]["quantizer"].choices == get_args(QuantizerKind)
    assert all("(arXiv 1" in text or "(arXiv 2" in text or "arXiv 26" in text for text in explained.values())
    assert {settings[name]["quantizer"].default for name in settings} == {"vq"}


def _change(content: dict[str, Any]) -> None:
    stages = {"tokenizer": {"settings": {"quantizer": "fsq"}}}
    content["entries"] = {
        "vq_fsq": {"method": "vq", "stages": stages},
        "tvq": {"method": "tvqrap", "upscales_with": "tokenizer"},
    }


def test_the_report_explains_the_quantisers_in_use(preset: ChangedPreset) -> None:
    plan = Plan.load(str(preset(_change)))
    (line,) = variants(plan, plan.methods["vq"])
    assert line.startswith("quantizer fsq: Finite scalar quantisation (arXiv 2309.15505)")
    assert variants(plan, plan.methods["tvqrap"]) == []


@pytest.mark.parametrize(("name", "bits"), [("mini", 4.0), ("small", 10.0), ("paper", 10.0)])
def test_compared_quantisers_spend_equal_bits(workspace: Path, name: str, bits: float) -> None:
    plan = Plan.load(name, {"entries": "all"})
    for table in ("quantizers", "quantizers_structure", "quantizers_sr"):
        spec, kinds = plan.tables[table], set()
        assert spec.varies == ("quantizer", "codebook_size", "codebook_count")
        for entry in spec.entries:
            run = plan.entries[entry].run
            assert run is not None
            tokenizer = next(part for part in run.lineage() if part.stage == "tokenizer")
            made_of = (
                load_plugin(tokenizer.method).stage("tokenizer", tokenizer.settings, {}) if name == "mini" else None
            )
            settings: Any = tokenizer.settings
            family = QuantizerSpec(
                settings["quantizer"], settings["codebook_size"], settings["codebook_count"], 4 * settings["width"],
                settings["vq_loss"],
            )  # fmt: skip
            if made_of is not None:
                network: Any = made_of.networks["tokenizer"]
                assert network.quantizer.codebooks == family.codebooks
            spent = sum(log2(book.size) * (8 / book.stride) ** 2 for book in family.codebooks)
            assert spent == pytest.approx(bits, abs=0.05), entry
            kinds.add(family.kind)
        assert kinds == set(get_args(QuantizerKind))
