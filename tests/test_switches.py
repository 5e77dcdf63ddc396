"""Switches of a training: what they change, and that the loop waits for the device at log steps alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.conftest import shared
from tests.test_training import RUNTIME, TRAINING, Duel
from tests.untrained import batch, run_of, untrained, with_settings
from tvqsr.contract import Stage, Terms
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.prepare import prepare
from tvqsr.nn import image_loss, nearest
from tvqsr.nn.blocks import ResBlock, norm_layer
from tvqsr.nn.kept_gradient import with_kept_gradient
from tvqsr.plan.preset import DatasetSpec, Runtime
from tvqsr.plan.training import Training
from tvqsr.train.average import RunningAverage
from tvqsr.train.loop import CURVE_POINTS, Fit, fit

# In words of ATen: a number is read on the host, or a shape depends on values. On a GPU the host then waits.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")


@pytest.fixture
def store(photo: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.rename(folder / photo.name)
    prepare(DatasetSpec(folder=str(folder)), tmp_path / "store", True, print)
    return tmp_path / "store"


def run(stage: Callable[[], Stage], store: Path, state: Path, runtime: Runtime = RUNTIME, **training: Any) -> Fit:
    sampler = CropSampler(store, TRAINING.model_copy(update=training), seed=0)
    return fit(stage, sampler, seed=0, state=state, key="k", runtime=runtime, label="test")


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU stands for a device that the host would have to wait for."""
    monkeypatch.setattr(nearest, "on_cpu", lambda _: False)


class Waits(TorchDispatchMode):
    """Counts the operations that make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITING:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


class Noted(Duel):
    """Notes how often the host has waited when a step begins."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits, self.at_step = waits, list[int]()

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        if player == self.generator:
            self.at_step.append(len(self.waits.names))
        return super().losses(player, batch, step)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_the_host_waits_at_log_steps_alone(store: Path, tmp_path: Path, clip_norm: float) -> None:
    """With twice as many steps as points of the curve, at every second one: to learn whether all losses were finite.

    There the terms are read, too, all at once, as a list, which torch does not dispatch. And in the first step, to
    learn whether the running average has begun.
    """
    stages: list[Noted] = []

    def build() -> Noted:
        stages.append(Noted(waits))
        return stages[0]

    seldom = Runtime(threads=1, gpus=0, checkpoint_seconds=1000, progress_seconds=1000)
    with Waits() as waits:
        run(
            build,
            store,
            tmp_path / "a",
            seldom,
            iterations=2 * CURVE_POINTS,
            batch_size=1,
            hr_crop=16,
            clip_norm=clip_norm,
        )
    during = [after - before for before, after in zip(stages[0].at_step, stages[0].at_step[1:], strict=False)]
    assert during[0] == 1
    assert set(during[2::2]) == {0}
    assert set(during[1::2]) == {1}


@pytest.mark.parametrize(
    ("method", "stage"), [("tvqrap", "tokenizer"), ("tvqrap", "predictor"), ("tvqrap", "rap"), ("vq", "predictor")]
)
def test_losses_and_gradients_wait_for_nothing(preset: Callable[..., Path], method: str, stage: str) -> None:
    plan = with_settings(preset, method)
    built, _ = untrained(run_of(plan, method, stage))
    with Waits() as waits:
        for player in built.players:
            losses = built(player, batch(), 10**6)
            torch.stack(list(losses.values())).sum().backward()
    assert waits.names == []


def test_matrix_products_in_tf32_where_a_training_says_so(store: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def build() -> Stage:
        return Duel(lambda _: seen.append(torch.get_float32_matmul_precision()))

    run(build, store, tmp_path / "a", precision="tf32", iterations=2)
    run(build, store, tmp_path / "b", iterations=2)
    assert seen == ["high", "high", "highest", "highest"]
    assert torch.get_float32_matmul_precision() == "highest"
    assert Training(**TRAINING.model_dump() | {"precision": "tf32"}).network_precision == "32-true"


class Blocks(Stage):
    """One residual block, as all networks here have them."""

    def __init__(self) -> None:
        network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), ResBlock(8, 3, norm_layer("group")))
        super().__init__({"n": network}, {"generator": ("n",)})

    def losses(self, player: str, batch: Batch, step: int) -> Terms:
        return {"pixel": (self.networks["n"](batch.hr) - batch.hr).square().mean()}


@pytest.mark.long
def test_compiled_blocks_compute_the_same(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 steps of Adam at a high rate: weights within 1e-4. The compiled code stays for the next attempt.

    It is this user's own: torch runs what it finds there, and results may be a stranger's.
    """
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiled = RUNTIME.model_copy(update={"compile": True})
    found = run(Blocks, store, tmp_path / "a", compiled).weights
    expected = run(Blocks, store, tmp_path / "b").weights
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-4) for name in expected)
    own = tmp_path / "cache" / "tvqsr" / "compiled"
    assert any(own.rglob("*.so")) and own.stat().st_mode & 0o077 == 0
    assert not any((tmp_path / "a").rglob("*.so"))


def test_a_kept_gradient_is_the_losss_own() -> None:
    torch.manual_seed(0)
    calls: list[None] = []

    def loss(image: Tensor) -> Tensor:
        calls.append(None)
        return (image**3).mean()

    image = torch.randn(2, 3, 4, 4, requires_grad=True)
    kept = with_kept_gradient(loss, 1 * image)
    (first,) = torch.autograd.grad(kept, image, retain_graph=True)
    (0.5 * kept).backward()
    assert image.grad is not None
    expected = 3 * image.detach() ** 2 / image.numel()
    assert torch.allclose(first, expected) and torch.allclose(image.grad, 0.5 * expected)
    assert torch.equal(kept, loss(image)) and len(calls) == 2
    with torch.no_grad():
        assert not with_kept_gradient(loss, image).requires_grad


def test_the_generators_terms_and_gradients_are_the_plain_ones(
    preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LPIPS, whose gradient is kept, and the GAN's adaptive weight, which asks for it, too: to the bit."""
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    plan = with_settings(preset, "tvqrap", tokenizer={"perceptual": "lpips_squeeze", "gan_start": 0})
    results = []
    for wrapper in (with_kept_gradient, lambda loss, image: loss(image)):
        monkeypatch.setattr(image_loss, "with_kept_gradient", wrapper)
        stage, _ = untrained(run_of(plan, "tvqrap", "tokenizer"))
        terms = stage("generator", batch(), 0)
        torch.stack(list(terms.values())).sum().backward()
        gradients = {name: p.grad for name, p in stage.networks["tokenizer"].named_parameters() if p.grad is not None}
        results.append((terms, gradients))
    (terms, gradients), (plain_terms, plain_gradients) = results
    assert {"pixel", "perceptual", "gan"} <= set(terms)
    assert all(torch.equal(terms[name], plain_terms[name]) for name in plain_terms)
    assert gradients.keys() == plain_gradients.keys()
    for name, expected in plain_gradients.items():
        assert float((gradients[name] - expected).norm()) <= 1e-5 * float(expected.norm()) + 1e-12, name


def test_the_running_average_is_torchs() -> None:
    """Weights, buffers and state after each of four updates, to the bit, and of one that goes on from a state."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    ours, theirs = RunningAverage(network, 0.9), AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for _ in range(4):
        for parameter in network.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        network(torch.randn(2, 1, 8, 8))
        ours.update_parameters(network)
        theirs.update_parameters(network)
        resumed = RunningAverage(network, 0.9)
        resumed.load_state_dict(ours.state_dict())
        ours = resumed
        found, expected = ours.state_dict(), theirs.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
