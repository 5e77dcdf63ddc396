"""Entries compared in pairs over images."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Command
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.report import compare as module
from tvqsr.report.compare import compare, told
from tvqsr.statistics import detectable, holm, sign_test


def rows(entry: str, seed: int, values: list[float], protocol: str = "psnr_y", higher: bool = True) -> pd.DataFrame:
    images = [f"i{number}" for number in range(len(values))]
    about = {"entry": entry, "seed": seed, "testset": "photos_test", "protocol": protocol, "higher_is_better": higher}
    return pd.DataFrame([about | {"image": image, "value": value} for image, value in zip(images, values, strict=True)])


AHEAD = [1.0, 1.2, 0.8, 1.1, 0.9, -0.1, 1.0, 1.0, 1.0]


@pytest.fixture
def scored(tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Two entries of two seeds: the first ahead by 1 on every image but one; in LPIPS, lower by 0.1 everywhere."""
    base = [20.0, 25.0, 30.0, 22.0, 28.0, 31.0, 24.0, 27.0, 29.0]
    frames = []
    for seed, shift in ((0, 0.1), (1, -0.1)):
        frames += [rows("vq", seed, base)]
        frames += [rows("tvq", seed, [a + b + shift for a, b in zip(base, AHEAD, strict=True)])]
        frames += [rows("vq", seed, [0.5] * 9, "lpips_alex", False), rows("tvq", seed, [0.4] * 9, "lpips_alex", False)]
    frames += [rows("bicubic", 0, [value + 5 for value in base])]
    monkeypatch.setattr(module, "load_scores", lambda plan, entries: pd.concat(frames, ignore_index=True))
    return tiny_plan


def test_a_pair_is_compared_image_by_image(scored: Plan) -> None:
    table = compare(scored, ["tvq", "vq"], "photos_test", ["psnr_y"])
    (row,) = table.to_dict("records")
    assert row["ahead"] == pytest.approx(np.mean(AHEAD))
    assert row["low"] < row["ahead"] < row["high"]
    assert (row["won"], row["images"], row["decided"]) == (8, 9, True)
    assert row["by_seed"] == pytest.approx([row["ahead"] + 0.1, row["ahead"] - 0.1])
    assert row["p"] == pytest.approx(2 * (1 + 9) / 2**9)


def test_the_other_way_round_is_the_same_behind(scored: Plan) -> None:
    one = compare(scored, ["tvq", "vq"], "photos_test", ["psnr_y"]).iloc[0]
    other = compare(scored, ["vq", "tvq"], "photos_test", ["psnr_y"]).iloc[0]
    assert other.ahead == pytest.approx(-one.ahead)
    assert (other.won, other.decided) == (1, True)


def test_lower_is_ahead_where_lower_is_better(scored: Plan) -> None:
    row = compare(scored, ["tvq", "vq"], "photos_test", ["lpips_alex"]).iloc[0]
    assert row.ahead == pytest.approx(0.1)
    assert row.won == 9


def test_seeds_that_disagree_leave_a_pair_open(scored: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [rows("vq", seed, [20.0] * 6) for seed in (0, 1)]
    frames += [rows("tvq", 0, [23.0] * 6), rows("tvq", 1, [19.0] * 6)]
    monkeypatch.setattr(module, "load_scores", lambda plan, entries: pd.concat(frames, ignore_index=True))
    row = compare(scored, ["tvq", "vq"], "photos_test", ["psnr_y"]).iloc[0]
    assert row.low > 0
    assert not row.decided


def test_many_pairs_are_corrected_together(scored: Plan) -> None:
    table = compare(scored, ["tvq", "vq", "bicubic"], "photos_test", ["psnr_y"])
    assert len(table) == 3
    assert table.p_holm.tolist() == pytest.approx(holm(table.p.tolist()))
    text = told(table, "photos_test")
    assert all(name in text for name in ("tvq", "vq", "bicubic", "p (Holm)"))


def test_sign_test_counts_outcomes() -> None:
    """Against all 2^n outcomes that are as far from even, or farther."""
    for wins, count in itertools.product(range(8), (7,)):
        outcomes = [sum(outcome) for outcome in itertools.product((0, 1), repeat=count)]
        expected = np.mean([abs(2 * other - count) >= abs(2 * wins - count) for other in outcomes])
        assert sign_test([1.0] * wins + [-1.0] * (count - wins)) == pytest.approx(expected)
    assert sign_test([0.0, 0.0]) == 1.0
    assert sign_test([1.0, 1.0, 0.0]) == sign_test([2.0, 3.0])


def test_holm_by_hand() -> None:
    """Holm 1979: the smallest times 4, the next times 3, and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_detectable_difference_is_seen_four_times_in_five() -> None:
    """By simulation: with that true mean, a two-sided z test at 5% rejects in 80% of the draws."""
    random = np.random.default_rng(0)
    sample = random.normal(0, 2.0, 50)
    least = detectable(sample.tolist())
    spread = sample.std(ddof=1)
    drawn = random.normal(least, spread, (20000, 50)).mean(axis=1)
    assert np.mean(np.abs(drawn) > 1.959964 * spread / np.sqrt(50)) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("entries", "testset", "protocols", "message"),
    [
        (["tvq", "tvq"], "photos_test", ["psnr_y"], "two entries or more"),
        (["tvq", "vqq"], "photos_test", ["psnr_y"], "vqq"),
        (["tvq", "vq"], "photos", ["psnr_y"], "unknown test set `photos`; did you mean `photos_test`"),
        (["tvq", "vq"], "photos_test", ["psnr"], "not scored with `psnr`; did you mean"),
    ],
)
def test_what_cannot_be_compared_is_named(
    scored: Plan, entries: list[str], testset: str, protocols: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compare(scored, entries, testset, protocols)


def test_unfinished_results_say_what_makes_them(scored: Plan, results: object, tvqsr: Command) -> None:
    assert tvqsr("compare", results, "tvq").returncode == 2
