"""What all quantisers must do alike, as modules and in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.quantizer_family import DIM, FILLED, every, features_of, made
from tests.untrained import ChangedPreset, batch, run_of, untrained, with_settings
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.nn.autoencoder import Shape
from tvqsr.nn.index_predictor import IndexHead, index_loss, likeliest
from tvqsr.nn.quantize import Quantizer, straight_through_lookup
from tvqsr.nn.quantizers import QuantizerSpec, new_quantizer
from tvqsr.plan.preset import Runtime
from tvqsr.plan.training import Training
from tvqsr.plugins import load_plugin
from tvqsr.train.loop import Fit, fit


@every
def test_codebooks_are_as_announced(spec: QuantizerSpec) -> None:
    quantizer = made(spec)
    assert quantizer.codebooks == spec.codebooks
    assert [len(vectors) for vectors in quantizer.vectors()] == [book.size for book in spec.codebooks]
    found = quantizer.indices(features_of(2, DIM, 4, 6))
    for book, indices in zip(spec.codebooks, found, strict=True):
        assert indices.shape == (2, 32 // book.stride, 48 // book.stride)
        assert indices.dtype == torch.int64
        assert int(indices.min()) >= 0 and int(indices.max()) < book.size
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
    quantizer = made(spec).requires_grad_(False)
    logits = [
        features_of(1, book.size, 32 // book.stride, 32 // book.stride).requires_grad_() for book in spec.codebooks
    ]
    codes = straight_through_lookup(logits, quantizer)
    assert torch.allclose(codes, quantizer.lookup(likeliest(tuple(logits))), atol=1e-5)
    weights = features_of(*codes.shape, seed=2)
    (codes * weights).sum().backward()
    quantizer = quantizer.double()

    def softened(parts: list[Tensor]) -> Tensor:
        mixed = [
            torch.einsum("bkhw,kd->bdhw", part.softmax(dim=1), vectors)
            for part, vectors in zip(parts, quantizer.vectors(), strict=True)
        ]
        return (quantizer.assemble(mixed) * weights.double()).sum()

    for number, part in enumerate(logits):
        nudge = torch.zeros_like(part, dtype=torch.float64)
        nudge[0, 1, 0, 1] = 1e-5
        exact = [other.detach().double() for other in logits]
        sides = [[*exact[:number], exact[number] + sign * nudge, *exact[number + 1 :]] for sign in (1, -1)]
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
        assert quantized.loss.item() == 0
    quantizer(features, 0)
    changed = {name for name, value in quantizer.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == ({"codes", "sums", "counts"} if spec.kind == "vq_ema" else set())


@every
def test_weights_hold_all_that_decides(spec: QuantizerSpec) -> None:
    other, one = made(spec, seed=1), made(spec, seed=0)
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
    """Whatever the quantiser, as many steps pass without: budgets are equal in that, too."""
    torch.manual_seed(0)
    quantizer = new_quantizer(replace(spec, size=max(spec.size, 6), quantize_from=20))
    assert quantizer.quantize_from == 20
    features = 3 + 0.1 * features_of(4, DIM, 8, 8)
    first = [vectors.detach().clone() for vectors in quantizer.vectors()]
    passed = quantizer(features, 3)
    assert passed.loss.item() == 0
    assert all(torch.equal(*pair) for pair in zip(quantizer.vectors(), first, strict=True))
    # Some bring layers of their own along, which features go through.
    straight = spec.kind not in ("hierarchical", "fsq", "lfq")
    assert torch.equal(passed.codes, features) == straight
    if spec.kind not in FILLED:
        assert not torch.allclose(passed.codes, quantizer.lookup(passed.indices), atol=1e-2)
        then = quantizer(features, 20)
        assert torch.allclose(then.codes, quantizer.lookup(then.indices), atol=1e-5)
        assert all(torch.equal(*pair) for pair in zip(quantizer.vectors(), first, strict=True)), "nothing to fill"
        return
    for step in range(4, 20):
        quantizer(features, step)
    for vectors, start in zip(quantizer.vectors(), first, strict=True):
        assert not bool((vectors == start).any())
    # Features in one small cloud far from where codes begin: unfilled, all would fall on one code.
    used = [len(indices.unique()) / book.size for indices, book in zip(*_used(quantizer, features), strict=True)]
    # `rq` keeps some of its shared codes for what is left.
    assert min(used) > 0.3
    error = (quantizer(features, 20).codes - quantizer.unquantised(features)).square().mean()
    assert error.item() < 0.05


def _used(quantizer: Quantizer, features: Tensor) -> tuple[Any, Any]:
    return quantizer.indices(features), quantizer.codebooks


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
def sampler(photo_store: Path) -> CropSampler:
    training = Training(iterations=12, batch_size=2, hr_crop=32, learning_rate=0.01, betas=(0.5, 0.9), ema=0.5)
    return CropSampler(photo_store, training, seed=0)


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
