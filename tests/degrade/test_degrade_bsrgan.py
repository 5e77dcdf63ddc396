"""BSRGAN's degradations: what is drawn, and in which order."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pytest
import skimage
import torch
from scipy import stats
from torch import Tensor

from tvqsr.data.degrade import BSRGAN, BSRGAN_PLUS, degrade, draw_chain, run_chain
from tvqsr.data.degrade.chain import Blur, Halve, Jpeg, MixedNoise, PhotonNoise, Step, Subsample, ToLr
from tvqsr.data.degrade.filters import sharpen
from tvqsr.data.degrade.parameters import Resize

DRAWS = 20000
RARE = 1e-4
"""Of about 100 tests at fixed seeds, none may be rarer than this by chance."""
MODES = ("area", "bilinear", "bicubic")
Kind = TypeVar("Kind", bound=Step)


@pytest.fixture(scope="module")
def plain() -> list[tuple[Step, ...]]:
    return [draw_chain(BSRGAN, [0, number]).steps for number in range(DRAWS)]


@pytest.fixture(scope="module")
def whole(plain: list[tuple[Step, ...]]) -> list[tuple[Step, ...]]:
    """Those not halved beforehand, which go on at scale 4."""
    return [steps for steps in plain if not halved(steps)]


@pytest.fixture(scope="module")
def plus() -> list[tuple[Step, ...]]:
    return [draw_chain(BSRGAN_PLUS, [1, number]).steps for number in range(DRAWS)]


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1, 3, 128, 96) in [0, 1]."""
    pixels = skimage.data.astronaut()[60:188, 180:276]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255


def halved(steps: Sequence[Step]) -> bool:
    return isinstance(steps[0], Halve) or (isinstance(steps[0], Resize) and steps[0].factor == 0.5)


def of_kind(chains: Sequence[Sequence[Step]], kind: type[Kind]) -> list[Kind]:
    return [step for steps in chains for step in steps if isinstance(step, kind)]


def letters(steps: Sequence[Step]) -> str:
    names = {Blur: "b", Resize: "r", Subsample: "r", ToLr: "l", MixedNoise: "n", PhotonNoise: "p", Jpeg: "j"}
    return "".join("s" if isinstance(step, MixedNoise) and step.speckle else names[type(step)] for step in steps)


def assert_happens(events: Sequence[bool], probability: float) -> None:
    assert stats.binomtest(sum(events), len(events), probability).pvalue > RARE


def assert_equally_likely(found: Sequence[object], values: Sequence[object]) -> None:
    counts = Counter(found)
    assert set(counts) == set(values)
    assert stats.chisquare([counts[value] for value in values]).pvalue > RARE


def assert_uniform(values: Sequence[float], low: float, high: float) -> None:
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > RARE


# What is drawn


def test_a_fourth_is_halved_beforehand(plain: list[tuple[Step, ...]]) -> None:
    first = [steps[0] for steps in plain if halved(steps)]
    assert_happens([halved(steps) for steps in plain], 0.25)
    assert_happens([isinstance(step, Halve) for step in first], 0.5)
    assert_equally_likely([step.mode for step in first if isinstance(step, Resize)], MODES)
    assert not any(halved(draw_chain(BSRGAN, [number], scale=2).steps) for number in range(100))


def test_every_order_that_shrinks_before_it_goes_to_lr_is_equally_likely(whole: list[tuple[Step, ...]]) -> None:
    """Without the JPEG that one in ten does without: five steps, two of them alike, two of them ordered."""
    orders = [letters(steps[:-1]).replace("j", "") for steps in whole]
    words = {"".join(word) for word in itertools.permutations("bbrln")}
    assert_equally_likely(orders, sorted(word for word in words if word.index("r") < word.index("l")))


def test_jpeg_comes_anywhere_in_nine_of_ten_and_always_last(whole: list[tuple[Step, ...]]) -> None:
    places = [letters(steps[:-1]).find("j") for steps in whole]
    assert_happens([place >= 0 for place in places], 0.9)
    assert_equally_likely([place for place in places if place >= 0], range(6))
    assert all(isinstance(steps[-1], Jpeg) for steps in whole)
    assert_equally_likely([jpeg.quality for jpeg in of_kind(whole, Jpeg)], range(30, 96))


@pytest.mark.parametrize(("scale", "before"), [(4, False), (2, True)])
def test_blurs_and_shrinking_follow_the_scale(plain: list[tuple[Step, ...]], scale: int, before: bool) -> None:
    """Halved images go on like those of scale 2. Anisotropic Gaussians are drawn by their variances."""
    chains = [steps[1:] if before else steps for steps in plain if halved(steps) == before]
    kernels = [blur.kernel for blur in of_kind(chains, Blur)]
    assert len(kernels) == 2 * len(chains)
    assert_equally_likely([kernel.size for kernel in kernels], range(7, 26, 2))
    assert_happens([kernel.kind == "aniso" for kernel in kernels], 0.5)
    stretched = [kernel for kernel in kernels if kernel.kind == "aniso"]
    assert_uniform([kernel.sigma_x**2 for kernel in stretched], 0, 4 + scale)
    assert_uniform([kernel.sigma_y**2 for kernel in stretched], 0, 4 + scale)
    assert_uniform([kernel.rotation for kernel in stretched], 0, math.pi)
    assert_uniform([kernel.sigma_x for kernel in kernels if kernel.kind == "iso"], 0, 2 + 0.2 * scale)
    assert all(kernel.sigma_x == kernel.sigma_y for kernel in kernels if kernel.kind == "iso")
    resizes, samples = of_kind(chains, Resize), of_kind(chains, Subsample)
    assert len(resizes) + len(samples) == len(chains)
    assert_happens([True] * len(resizes) + [False] * len(samples), 0.75)
    assert_uniform([1 / step.factor for step in resizes], 1, 2 * scale)
    assert_equally_likely([step.mode for step in resizes], MODES)
    assert {(step.scale, step.kernel.size, step.kernel.kind) for step in samples} == {(scale, 25, "iso")}
    assert_uniform([step.kernel.sigma_x for step in samples], 0.1, 0.6 * scale)
    assert_equally_likely([step.mode for step in of_kind(chains, ToLr)], MODES)


def test_gaussian_noise_is_grey_coloured_or_correlated(plain: list[tuple[Step, ...]]) -> None:
    mixings = [np.array(noise.mixing) for noise in of_kind(plain, MixedNoise)]
    assert len(mixings) == DRAWS
    grey = [mixing for mixing in mixings if mixing.shape == (3, 1)]
    coloured = [mixing for mixing in mixings if mixing.shape == (3, 3) and mixing[1, 0] == 0]
    correlated = [mixing for mixing in mixings if mixing.shape == (3, 3) and mixing[1, 0] != 0]
    kinds = [len(grey), len(coloured), len(correlated)]
    assert stats.chisquare(kinds, [0.4 * DRAWS, 0.4 * DRAWS, 0.2 * DRAWS]).pvalue > RARE
    assert all(np.ptp(mixing) == 0 for mixing in grey)
    assert all(np.array_equal(mixing, mixing[0, 0] * np.eye(3)) for mixing in coloured)
    levels = [mixing[0, 0] * 255 for mixing in (*grey, *coloured)]
    assert np.allclose(levels, np.round(levels))
    assert_equally_likely([round(level) for level in levels], range(2, 26))


def test_correlated_noise_has_the_published_covariance(plain: list[tuple[Step, ...]]) -> None:
    """|L^2 U' D U|: the trace is L^2 times that of D, three uniform numbers; no entry is negative."""
    covariances = [
        np.array(noise.mixing) @ np.array(noise.mixing).T
        for noise in of_kind(plain, MixedNoise)
        if len(noise.mixing[0]) == 3 and noise.mixing[1][0] != 0
    ]
    traces = [np.trace(covariance) / (25 / 255) ** 2 for covariance in covariances]
    assert stats.kstest(traces, stats.irwinhall(3).cdf).pvalue > RARE
    assert min(covariance.min() for covariance in covariances) > 0
    assert np.mean([covariance[0, 1] / covariance[0, 0] for covariance in covariances]) > 0.1


def test_the_extended_order_is_fixed_but_for_the_noise_in_half_of_the_images(plus: list[tuple[Step, ...]]) -> None:
    words = [letters(steps) for steps in plus]
    assert all(word.endswith("lj") and word[:-2].count("j") == 1 for word in words)
    rounds = [half.strip("nps") == "br" for word in words for half in word[:-2].split("j")]
    in_order = [one and other for one, other in zip(rounds[::2], rounds[1::2], strict=True)]
    # Of the random orders of b, r, j, b, r (one of 30 words), one is the fixed one; noise is rarely apart from it.
    assert 0.48 < np.mean(in_order) < 0.54
    shuffled = [word[:-2] for word, fixed in zip(words, in_order, strict=True) if not fixed]
    middle = [word.translate(str.maketrans("", "", "nps")) for word in shuffled]
    expected = sorted({"".join(word) for word in itertools.permutations("brjbr")} - {"brjbr"})
    assert_equally_likely([word for word in middle if word != "brjbr"], expected)


def test_the_extended_noises_are_shuffled_within_their_round(plus: list[tuple[Step, ...]]) -> None:
    rounds = [half for steps in plus for half in letters(steps)[:-2].split("j") if half[:2] == "br"]
    both = [half[2:] for half in rounds if sorted(half[2:]) == ["n", "p"]]
    assert len(both) > 200
    assert_happens([word == "np" for word in both], 0.5)


def test_the_extended_draws_are_those_of_the_code(plus: list[tuple[Step, ...]]) -> None:
    factors = np.array([step.factor for step in of_kind(plus, Resize)])
    assert len(factors) == 2 * DRAWS
    ways = [np.sum(factors > 1), np.sum(factors < 1), np.sum(factors == 1)]
    assert stats.chisquare(ways, np.array([0.2, 0.7, 0.1]) * len(factors)).pvalue > RARE
    assert_uniform(list(factors[factors > 1]), 1, 2)
    assert_uniform(list(factors[factors < 1]), 1 / 8, 1)
    assert_equally_likely([step.mode for step in of_kind(plus, Resize)], MODES)
    photons = of_kind(plus, PhotonNoise)
    assert stats.binomtest(len(photons), 2 * DRAWS, 0.1).pvalue > RARE
    assert_uniform([math.log10(noise.photons) for noise in photons], 2, 4)
    assert_happens([noise.grey for noise in photons], 0.5)
    speckles = [noise for noise in of_kind(plus, MixedNoise) if noise.speckle]
    assert stats.binomtest(len(speckles), 2 * DRAWS, 0.1).pvalue > RARE
    assert len(of_kind(plus, MixedNoise)) - len(speckles) == 2 * DRAWS
    assert len(of_kind(plus, Jpeg)) == 2 * DRAWS
    assert len(of_kind(plus, Blur)) == 2 * DRAWS
    assert_equally_likely([jpeg.quality for jpeg in of_kind(plus, Jpeg)], range(30, 96))
    assert_equally_likely([step.mode for step in of_kind(plus, ToLr)], MODES)
    kernels = [blur.kernel for blur in of_kind(plus, Blur)]
    assert_equally_likely([kernel.size for kernel in kernels], range(7, 26, 2))
    assert_happens([kernel.kind == "aniso" for kernel in kernels], 0.5)
    assert_uniform([kernel.sigma_x for kernel in kernels if kernel.kind == "iso"], 0, 2.8)
    for kernel_sigmas in zip(*((k.sigma_x, k.sigma_y) for k in kernels if k.kind == "aniso"), strict=True):
        assert_uniform([sigma**2 for sigma in kernel_sigmas], 0, 8)
    ways = ["grey" if len(n.mixing[0]) == 1 else "own" if n.mixing[1][0] == 0 else "mixed" for n in speckles]
    counts = Counter(ways)
    expected = [share * len(ways) for share in (0.4, 0.4, 0.2)]
    assert stats.chisquare([counts[way] for way in ("grey", "own", "mixed")], expected).pvalue > RARE


def test_what_comes_first_tells_nothing_of_what_comes_later(
    whole: list[tuple[Step, ...]], plus: list[tuple[Step, ...]]
) -> None:
    """The two blurs, the two resizings and the two JPEGs of an image are drawn apart."""
    for chains in (whole, plus):
        kernels = [[blur.kernel for blur in of_kind([steps], Blur)] for steps in chains]
        sizes = np.zeros((10, 10))
        kinds = np.zeros((2, 2))
        for one, other in kernels:
            sizes[(one.size - 7) // 2, (other.size - 7) // 2] += 1
            kinds[int(one.kind == "iso"), int(other.kind == "iso")] += 1
        assert stats.chi2_contingency(sizes).pvalue > RARE
        assert stats.chi2_contingency(kinds).pvalue > RARE
        qualities = [[jpeg.quality for jpeg in of_kind([steps], Jpeg)] for steps in chains]
        assert stats.spearmanr([found for found in qualities if len(found) == 2]).pvalue > RARE
    factors = [[step.factor for step in of_kind([steps], Resize)] for steps in plus]
    assert stats.spearmanr(factors).pvalue > RARE


def test_only_the_extended_one_sharpens_its_input(photo: Tensor) -> None:
    for number in range(5):
        seed = [number]
        plain, plus = draw_chain(BSRGAN, seed), draw_chain(BSRGAN_PLUS, seed)
        assert torch.allclose(degrade(photo, BSRGAN, [seed]), run_chain(photo, plain, (32, 24)), atol=0.5 / 255)
        assert torch.allclose(
            degrade(photo, BSRGAN_PLUS, [seed]), run_chain(sharpen(photo), plus, (32, 24)), atol=0.5 / 255
        )
    assert not torch.equal(sharpen(photo), photo)


def test_chains_of_different_seeds_differ_and_those_of_one_do_not() -> None:
    assert draw_chain(BSRGAN, [4, 5]) == draw_chain(BSRGAN, (4, 5))
    assert len({draw_chain(BSRGAN, [4, number]).noise_seed for number in range(100)}) == 100
    levels = [of_kind([draw_chain(BSRGAN, [0, n]).steps], Jpeg)[-1].quality for n in range(2000)]
    assert abs(np.corrcoef(levels[1:], levels[:-1])[0, 1]) < 0.08


# What each step does
