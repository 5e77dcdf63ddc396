"""What is drawn for an image, against the published ranges and probabilities."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from tvqsr.data.degrade import REALESRGAN, RESSHIFT_TEST, Parameters, draw
from tvqsr.data.degrade.parameters import Kernel, Noise, Resize, Stage

DRAWS = 6000
SIZES = (7, 9, 11, 13, 15, 17, 19, 21)
KINDS = {
    "iso": 0.45,
    "aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}


@pytest.fixture(scope="module")
def training() -> list[Parameters]:
    return [draw(REALESRGAN, [0, step, 3]) for step in range(DRAWS)]


@pytest.fixture(scope="module")
def testing() -> list[Parameters]:
    return [draw(RESSHIFT_TEST, [1, index]) for index in range(DRAWS)]


def seconds(drawn: Sequence[Parameters]) -> list[Stage]:
    return [one.second for one in drawn if one.second]


def assert_frequencies(found: Sequence[object], probabilities: Mapping[str, float] | Mapping[int, float]) -> None:
    counts = Counter(found)
    assert set(counts) <= set(probabilities)
    expected = [probability * len(found) for probability in probabilities.values()]
    assert stats.chisquare([counts[key] for key in probabilities], expected).pvalue > 0.001


def assert_uniform(values: Sequence[float], low: float, high: float) -> None:
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.001


def assert_happens(events: Sequence[bool], probability: float) -> None:
    assert stats.binomtest(sum(events), len(events), probability).pvalue > 0.001


def assert_blurs(blurs: Sequence[Kernel], sizes: Sequence[int], kinds: Mapping[str, float], sinc: float) -> None:
    assert_frequencies([blur.size for blur in blurs], {size: 1 / len(sizes) for size in sizes})
    assert_frequencies(
        [blur.kind for blur in blurs], {kind: p * (1 - sinc) for kind, p in kinds.items()} | {"sinc": sinc}
    )


def assert_resizes(resizes: Sequence[Resize], probabilities: Sequence[float], low: float, high: float) -> None:
    ways = [1 if resize.factor > 1 else 0 if resize.factor == 1 else -1 for resize in resizes]
    assert_frequencies(ways, dict(zip((1, -1, 0), probabilities, strict=True)))
    assert_uniform([resize.factor for resize in resizes if resize.factor > 1], 1.0, high)
    assert_uniform([resize.factor for resize in resizes if resize.factor < 1], low, 1.0)
    assert_frequencies([resize.mode for resize in resizes], dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3))


def assert_noises(noises: Sequence[Noise], sigma: tuple[float, float], poisson: tuple[float, float]) -> None:
    assert_happens([noise.kind == "gaussian" for noise in noises], 0.5)
    for kind, ends in (("gaussian", sigma), ("poisson", poisson)):
        assert_uniform([noise.strength for noise in noises if noise.kind == kind], *ends)
        assert_happens([noise.grey for noise in noises if noise.kind == kind], 0.4)


def test_training_blurs_are_those_of_the_paper(training: list[Parameters]) -> None:
    first = [one.first.blur for one in training if one.first.blur]
    assert len(first) == DRAWS
    assert_blurs(first, SIZES, KINDS, 0.1)
    assert_uniform([blur.sigma_x for blur in first if blur.kind != "sinc"], 0.2, 3.0)
    assert_uniform([blur.sigma_y for blur in first if blur.kind.endswith("aniso")], 0.2, 3.0)
    assert_uniform([blur.rotation for blur in first if blur.kind.endswith("aniso")], -math.pi, math.pi)


def test_second_training_blurs_are_milder_and_happen_in_eight_of_ten(training: list[Parameters]) -> None:
    stages = seconds(training)
    assert_happens([stage.blur is not None for stage in stages], 0.8)
    blurs = [stage.blur for stage in stages if stage.blur]
    assert_blurs(blurs, SIZES, KINDS, 0.1)
    assert_uniform([blur.sigma_x for blur in blurs if blur.kind != "sinc"], 0.2, 1.5)


def test_shapes_are_below_one_half_the_time(training: list[Parameters]) -> None:
    blurs = [one.first.blur for one in training if one.first.blur]
    generalized = [blur.beta for blur in blurs if blur.kind.startswith("generalized")]
    assert_happens([beta < 1 for beta in generalized], 0.5)
    assert_uniform([beta for beta in generalized if beta < 1], 0.5, 1.0)
    assert_uniform([beta for beta in generalized if beta > 1], 1.0, 4.0)
    plateau = [blur.beta for blur in blurs if blur.kind.startswith("plateau")]
    assert_happens([beta == 1 for beta in plateau], 0.5)
    assert_uniform([beta for beta in plateau if beta > 1], 1.0, 2.0)
    assert {blur.beta for blur in blurs if blur.kind in ("iso", "aniso")} == {1.0}


def test_isotropic_kernels_have_one_sigma(training: list[Parameters]) -> None:
    blurs = [one.first.blur for one in training if one.first.blur]
    assert all(blur.sigma_x == blur.sigma_y for blur in blurs if blur.kind.endswith("_iso") or blur.kind == "iso")
    assert not any(blur.sigma_x == blur.sigma_y for blur in blurs if blur.kind.endswith("aniso"))


def test_cutoffs_reach_lower_in_large_kernels(training: list[Parameters]) -> None:
    sincs = [one.first.blur for one in training if one.first.blur and one.first.blur.kind == "sinc"]
    assert_uniform([blur.cutoff for blur in sincs if blur.size < 13], math.pi / 3, math.pi)
    assert_uniform([blur.cutoff for blur in sincs if blur.size >= 13], math.pi / 5, math.pi)
    assert min(blur.cutoff for blur in sincs if blur.size == 13) < math.pi / 3


def test_training_resizes_and_noise_are_those_of_the_paper(training: list[Parameters]) -> None:
    assert_resizes([one.first.resize for one in training], (0.2, 0.7, 0.1), 0.15, 1.5)
    assert_resizes([stage.resize for stage in seconds(training)], (0.3, 0.4, 0.3), 0.3, 1.2)
    assert_noises([one.first.noise for one in training], (1.0, 30.0), (0.05, 3.0))
    assert_noises([stage.noise for stage in seconds(training)], (1.0, 25.0), (0.05, 2.5))


def test_the_second_stage_happens_in_half_of_training_and_never_in_testing(
    training: list[Parameters], testing: list[Parameters]
) -> None:
    assert_happens([one.second is not None for one in training], 0.5)
    assert not seconds(testing)


def test_the_last_steps_of_training_are_those_of_the_paper(training: list[Parameters]) -> None:
    assert_uniform([one.first_jpeg for one in training], 30.0, 95.0)
    assert_uniform([one.last_jpeg for one in training], 30.0, 95.0)
    assert_happens([one.jpeg_comes_last for one in training], 0.5)
    assert_frequencies([one.last_mode for one in training], dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3))
    assert_happens([one.last_sinc is not None for one in training], 0.8)
    sincs = [one.last_sinc for one in training if one.last_sinc]
    assert_frequencies([sinc.size for sinc in sincs], dict.fromkeys(SIZES, 1 / 8))
    assert_uniform([sinc.cutoff for sinc in sincs], math.pi / 3, math.pi)


def test_the_test_degradation_is_resshift_s(testing: list[Parameters]) -> None:
    blurs = [one.first.blur for one in testing if one.first.blur]
    assert len(blurs) == DRAWS
    assert_blurs(blurs, (3, 5, 7, 9, 11), {"iso": 0.6, "aniso": 0.4}, 0.1)
    assert_uniform([blur.sigma_x for blur in blurs if blur.kind != "sinc"], 0.2, 0.8)
    assert_resizes([one.first.resize for one in testing], (0.2, 0.7, 0.1), 0.5, 1.5)
    assert_noises([one.first.noise for one in testing], (1.0, 15.0), (0.05, 0.3))
    assert_uniform([one.first_jpeg for one in testing], 70.0, 95.0)
    assert_uniform([one.last_jpeg for one in testing], 80.0, 100.0)
    assert_happens([one.last_sinc is not None for one in testing], 0.2)
    assert {one.last_sinc.size for one in testing if one.last_sinc} == {3, 5}


def test_draws_of_neighbouring_seeds_are_independent(training: list[Parameters]) -> None:
    qualities = np.array([one.first_jpeg for one in training])
    assert abs(np.corrcoef(qualities[1:], qualities[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(qualities, [one.last_jpeg for one in training])[0, 1]) < 0.05
    assert len({one.noise_seed for one in training}) == DRAWS


def test_a_seed_decides_everything_and_parameters_can_be_logged() -> None:
    recipe = REALESRGAN
    assert draw(recipe, [4, 5, 6]) == draw(recipe, (4, 5, 6))
    assert draw(recipe, [4, 5, 6]) != draw(recipe, [4, 6, 5])
    for step in range(20):
        drawn = draw(recipe, [step])
        log = dataclasses.asdict(drawn)
        assert json.loads(json.dumps(log)) == log
        assert log["first"]["resize"]["factor"] == drawn.first.resize.factor


def test_drawing_leaves_the_global_random_state_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    draw(REALESRGAN, [1])
    assert np.random.random() == expected  # noqa: NPY002
