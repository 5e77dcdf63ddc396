"""What is drawn for an image, against the published ranges and probabilities, written out here."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy import stats

from tvqsr.data.degrade import REALESRGAN, RECIPES, Parameters, Recipe, draw
from tvqsr.data.degrade.parameters import Kernel, Noise, Resize, Stage

DRAWS = 20000
RARE = 1e-4
"""Of about 300 tests at fixed seeds, none may be rarer than this by chance."""
KINDS = {
    "iso": 0.45,
    "aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}
MODES = dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3)
UP_TO_21 = (7, 9, 11, 13, 15, 17, 19, 21)


@dataclass(frozen=True)
class Order:
    """Blur, resize and noise of one order: probabilities, and the ends of uniform distributions."""

    sizes: tuple[int, ...]
    sigma: tuple[float, float]
    resize: tuple[float, float, float]  # up, down, keep
    factor: tuple[float, float]
    noise: tuple[float, float]
    poisson: tuple[float, float]
    kinds: Mapping[str, float] = dataclasses.field(default_factory=lambda: KINDS)
    sinc: float = 0.1
    beta_generalized: tuple[float, float] = (0.5, 4.0)
    beta_plateau: tuple[float, float] = (1.0, 2.0)
    blurred: float = 1.0


@dataclass(frozen=True)
class Table:
    first: Order
    first_jpeg: tuple[float, float]
    second_order: float
    second: Order
    last_sinc: float
    last_sizes: tuple[int, ...]
    last_jpeg: tuple[float, float]


# Real-ESRGAN: options/train_realesrgan_x4plus.yml; sizes, angles, cutoffs: realesrgan/data/realesrgan_dataset.py.
RE_FIRST = Order(UP_TO_21, (0.2, 3), (0.2, 0.7, 0.1), (0.15, 1.5), (1, 30), (0.05, 3))
RE_SECOND = Order(UP_TO_21, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 25), (0.05, 2.5), blurred=0.8)
# AESOP, options/train/AESOP/train_RealWorld_AESOP.yml.
AESOP_FIRST = Order(UP_TO_21, (0.2, 3), (0.2, 0.7, 0.1), (0.2, 1.5), (1, 30), (0.05, 2))
AESOP_SECOND = Order(UP_TO_21, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 20), (0.05, 2), blurred=0.8)
# ResShift, configs/degradation_testing_realesrgan.yaml; its code leaves out the ends of the kernel sizes.
RS_KINDS = {"iso": 0.6, "aniso": 0.4}
RS_FIRST = Order((3, 5, 7, 9, 11), (0.2, 0.8), (0.2, 0.7, 0.1), (0.5, 1.5), (1, 15), (0.05, 0.3), RS_KINDS)
RS_SECOND = Order(
    (3, 5), (0.2, 0.5), (0.3, 0.4, 0.3), (0.8, 1.2), (1, 10), (0.05, 0.2), RS_KINDS, sinc=0.0, blurred=0.2
)
TABLES = {
    "realesrgan": Table(RE_FIRST, (30, 95), 1.0, RE_SECOND, 0.8, UP_TO_21, (30, 95)),
    "aesop": Table(AESOP_FIRST, (50, 95), 1.0, AESOP_SECOND, 0.8, UP_TO_21, (50, 95)),
    # CVL-UESTC/TVQ-RAP, options/TVQRAP_stage2.yml: second_order_prob 0.5, all else as Real-ESRGAN.
    "tvqrap": Table(RE_FIRST, (30, 95), 0.5, RE_SECOND, 0.8, UP_TO_21, (30, 95)),
    "resshift_test": Table(RS_FIRST, (70, 95), 0.0, RS_SECOND, 0.2, (3, 5), (80, 100)),
}
NAMES = sorted(TABLES)


@cache
def drawn(name: str) -> list[Parameters]:
    return [draw(_recipe(name), [sorted(TABLES).index(name), number]) for number in range(DRAWS)]


@cache
def seconds(name: str) -> list[Stage]:
    """The second orders; of a recipe that never comes to one, what it would draw."""
    found = [one.second for one in drawn(name) if one.second]
    if found:
        return found
    recipe = dataclasses.replace(_recipe(name), second_probability=1.0)
    return [one.second for number in range(DRAWS) if (one := draw(recipe, [9, number])).second]


def _recipe(name: str) -> Recipe:
    recipe = RECIPES[name]
    assert isinstance(recipe, Recipe)
    return recipe


def assert_frequencies(found: Sequence[object], probabilities: Mapping[str, float] | Mapping[int, float]) -> None:
    counts = Counter(found)
    assert set(counts) <= set(probabilities)
    expected = [probability * len(found) for probability in probabilities.values()]
    assert stats.chisquare([counts[key] for key in probabilities], expected).pvalue > RARE


def assert_uniform(values: Sequence[float], low: float, high: float) -> None:
    """Kolmogorov-Smirnov, and that no end is left out: the extremes of n values lie within 20 / n of the ends."""
    assert len(values) > 100
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > RARE
    margin = 20 / len(values) * (high - low)
    assert low <= min(values) < low + margin
    assert high - margin < max(values) <= high


def assert_happens(events: Sequence[bool], probability: float) -> None:
    assert stats.binomtest(sum(events), len(events), probability).pvalue > RARE


def assert_kernels(blurs: Sequence[Kernel], order: Order) -> None:
    assert_frequencies([blur.size for blur in blurs], {size: 1 / len(order.sizes) for size in order.sizes})
    kinds = {kind: p * (1 - order.sinc) for kind, p in order.kinds.items()}
    assert_frequencies([blur.kind for blur in blurs], kinds | ({"sinc": order.sinc} if order.sinc else {}))
    bells = [blur for blur in blurs if blur.kind != "sinc"]
    long = [blur for blur in bells if blur.kind.endswith("aniso")]
    assert_uniform([blur.sigma_x for blur in bells], *order.sigma)
    assert_uniform([blur.sigma_y for blur in long], *order.sigma)
    assert_uniform([blur.rotation for blur in long], -math.pi, math.pi)
    assert_unrelated([blur.sigma_x for blur in long], [blur.sigma_y for blur in long])
    assert_unrelated([blur.size for blur in bells], [blur.sigma_x for blur in bells])
    assert all(blur.sigma_x == blur.sigma_y for blur in bells if not blur.kind.endswith("aniso"))
    assert_shapes([blur.beta for blur in blurs if blur.kind.startswith("generalized")], *order.beta_generalized)
    assert_shapes([blur.beta for blur in blurs if blur.kind.startswith("plateau")], *order.beta_plateau)
    assert {blur.beta for blur in blurs if blur.kind in ("iso", "aniso", "sinc")} == {1.0}


def assert_shapes(betas: Sequence[float], low: float, high: float) -> None:
    """Half of them below 1 (or at 1, where the range begins there), half above, uniform on either side."""
    if not betas:
        return
    assert_happens([beta > 1 for beta in betas], 0.5)
    assert_uniform([beta for beta in betas if beta > 1], 1.0, high)
    if low < 1:
        assert_uniform([beta for beta in betas if beta < 1], low, 1.0)
    else:
        assert min(betas) == 1.0


def assert_cutoffs(blurs: Sequence[Kernel]) -> None:
    """Kernels of 13 pixels and more reach lower (realesrgan_dataset.py)."""
    small, large = ([b.cutoff for b in blurs if (b.size < 13) == is_small] for is_small in (True, False))
    assert_uniform(small, math.pi / 3, math.pi)
    if large:
        assert_uniform(large, math.pi / 5, math.pi)
        assert min(b.cutoff for b in blurs if b.size == 13) < math.pi / 3


def assert_resizes(resizes: Sequence[Resize], order: Order) -> None:
    ways = [1 if resize.factor > 1 else 0 if resize.factor == 1 else -1 for resize in resizes]
    assert_frequencies(ways, dict(zip((1, -1, 0), order.resize, strict=True)))
    assert_uniform([resize.factor for resize in resizes if resize.factor > 1], 1.0, order.factor[1])
    assert_uniform([resize.factor for resize in resizes if resize.factor < 1], order.factor[0], 1.0)
    assert_frequencies([resize.mode for resize in resizes], MODES)


def assert_noises(noises: Sequence[Noise], order: Order) -> None:
    """Gaussian or Poisson, equally likely; grey in four of ten (gaussian_noise_prob, gray_noise_prob)."""
    assert_happens([noise.kind == "gaussian" for noise in noises], 0.5)
    for kind, ends in (("gaussian", order.noise), ("poisson", order.poisson)):
        assert_uniform([noise.strength for noise in noises if noise.kind == kind], *ends)
        assert_happens([noise.grey for noise in noises if noise.kind == kind], 0.4)


def assert_unrelated(one: Sequence[float], other: Sequence[float]) -> None:
    assert stats.spearmanr(one, other).pvalue > RARE


def assert_independent(one: Sequence[object], other: Sequence[object]) -> None:
    """Chi-square of the table of both."""
    rows, columns = sorted(set(one), key=str), sorted(set(other), key=str)
    counts = Counter(zip(one, other, strict=True))
    table = [[counts[row, column] for column in columns] for row in rows]
    assert stats.chi2_contingency(table).pvalue > RARE


@pytest.mark.parametrize("name", NAMES)
def test_kernels_of_the_first_order(name: str) -> None:
    blurs = [one.first.blur for one in drawn(name) if one.first.blur]
    assert len(blurs) == DRAWS
    assert_kernels(blurs, TABLES[name].first)
    assert_cutoffs([blur for blur in blurs if blur.kind == "sinc"])


@pytest.mark.parametrize("name", NAMES)
def test_kernels_of_the_second_order(name: str) -> None:
    order, stages = TABLES[name].second, seconds(name)
    assert_happens([stage.blur is not None for stage in stages], order.blurred)
    blurs = [stage.blur for stage in stages if stage.blur]
    assert_kernels(blurs, order)
    if order.sinc:
        assert_cutoffs([blur for blur in blurs if blur.kind == "sinc"])


@pytest.mark.parametrize("name", NAMES)
def test_resizes_and_noise_of_both_orders(name: str) -> None:
    table = TABLES[name]
    assert_resizes([one.first.resize for one in drawn(name)], table.first)
    assert_noises([one.first.noise for one in drawn(name)], table.first)
    assert_resizes([stage.resize for stage in seconds(name)], table.second)
    assert_noises([stage.noise for stage in seconds(name)], table.second)


@pytest.mark.parametrize("name", NAMES)
def test_the_second_order_happens_as_often_as_published(name: str) -> None:
    assert_happens([one.second is not None for one in drawn(name)], TABLES[name].second_order)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_steps(name: str) -> None:
    table, images = TABLES[name], drawn(name)
    assert_uniform([one.first_jpeg for one in images], *table.first_jpeg)
    assert_uniform([one.last_jpeg for one in images], *table.last_jpeg)
    assert_happens([one.jpeg_comes_last for one in images], 0.5)
    assert_frequencies([one.last_mode for one in images], MODES)
    assert_happens([one.last_sinc is not None for one in images], table.last_sinc)
    sincs = [one.last_sinc for one in images if one.last_sinc]
    assert {sinc.kind for sinc in sincs} == {"sinc"}
    assert_frequencies([sinc.size for sinc in sincs], {size: 1 / len(table.last_sizes) for size in table.last_sizes})
    assert_uniform([sinc.cutoff for sinc in sincs], math.pi / 3, math.pi)


@pytest.mark.parametrize("name", ["realesrgan", "aesop", "tvqrap"])
def test_the_two_orders_are_independent(name: str) -> None:
    """Kinds, ways and modes by contingency tables, strengths by rank correlation."""
    pairs = [(one.first, one.second) for one in drawn(name) if one.second]
    choices: tuple[Callable[[Stage], object], ...] = (
        lambda stage: stage.blur.kind if stage.blur else "none",
        lambda stage: stage.resize.mode,
        lambda stage: (stage.resize.factor > 1) - (stage.resize.factor < 1),
        lambda stage: stage.noise.kind,
        lambda stage: stage.noise.grey,
    )
    for choice in choices:
        assert_independent([choice(first) for first, _ in pairs], [choice(second) for _, second in pairs])
    assert_unrelated([first.resize.factor for first, _ in pairs], [second.resize.factor for _, second in pairs])
    for kind in ("gaussian", "poisson"):
        alike = [(a.noise.strength, b.noise.strength) for a, b in pairs if a.noise.kind == b.noise.kind == kind]
        assert_unrelated(*zip(*alike, strict=True))
    both = [(a.blur, b.blur) for a, b in pairs if a.blur and b.blur and "sinc" not in (a.blur.kind, b.blur.kind)]
    assert_unrelated([a.sigma_x for a, _ in both], [b.sigma_x for _, b in both])
    assert_independent([a.size for a, _ in both], [b.size for _, b in both])


def test_choices_of_an_image_are_independent_of_each_other() -> None:
    """Every pair of what is drawn once for each image; the second order is there or not for all alike."""
    images = drawn("tvqrap")
    columns: dict[str, Sequence[object]] = {
        "second": [one.second is not None for one in images],
        "order": [one.jpeg_comes_last for one in images],
        "sinc": [one.last_sinc is not None for one in images],
        "mode": [one.last_mode for one in images],
        "first mode": [one.first.resize.mode for one in images],
        "noise": [one.first.noise.kind for one in images],
        "grey": [one.first.noise.grey for one in images],
        "kind": [one.first.blur.kind if one.first.blur else "none" for one in images],
        "first quality": [one.first_jpeg // 13 for one in images],
        "last quality": [one.last_jpeg // 13 for one in images],
    }
    for one, other in itertools.combinations(columns.values(), 2):
        assert_independent(one, other)


def test_draws_of_neighbouring_seeds_are_independent() -> None:
    images = drawn("realesrgan")
    for values in (
        [one.first_jpeg for one in images],
        [one.last_jpeg for one in images],
        [one.first.resize.factor for one in images],
    ):
        assert_unrelated(values[1:], values[:-1])
    assert len({one.noise_seed for one in images}) == DRAWS


def test_a_seed_decides_everything() -> None:
    assert draw(REALESRGAN, [4, 5, 6]) == draw(REALESRGAN, (4, 5, 6))
    assert draw(REALESRGAN, [4, 5, 6]) != draw(REALESRGAN, [4, 6, 5])


def test_drawing_leaves_the_global_random_state_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    draw(REALESRGAN, [1])
    assert np.random.random() == expected  # noqa: NPY002
