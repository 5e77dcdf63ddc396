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
from tvqsr.report.paired import leads
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


@pytest.mark.parametrize(("images", "pairs"), [(6, 1), (10, 1), (10, 10), (100, 1), (100, 10)])
def test_detectable_difference_is_seen_four_times_in_five(images: int, pairs: int) -> None:
    """By simulation of the sign test at the level that the strictest of Holm's steps asks for."""
    random = np.random.default_rng(0)
    sample = random.normal(0, 2.0, images)
    least = detectable(sample.tolist(), pairs)
    assert least is not None
    drawn = random.normal(least, sample.std(ddof=1), (20000, images))
    p_of = {wins: sign_test([1.0] * wins + [-1.0] * (images - wins)) for wins in range(images + 1)}
    wins = (drawn > 0).sum(axis=1)
    seen = [won > images / 2 and p_of[int(won)] * pairs <= 0.05 for won in wins]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize("pairs", [1, 10])
def test_the_whole_rule_finds_it_nearly_as_often(pairs: int) -> None:
    """Interval and flip test ask for little more than the sign test does at that difference."""
    random = np.random.default_rng(1)
    least = detectable(random.normal(0, 1.0, 20).tolist(), pairs)
    spread = float(np.random.default_rng(1).normal(0, 1.0, 20).std(ddof=1))
    assert least is not None
    seen = 0
    for _ in range(60):
        ours = rows("a", 0, (25 + random.normal(least, spread, 20)).tolist())
        (lead,) = leads(pd.concat([ours, rows("b", 0, [25.0] * 20)]), [("a", "b")])
        seen += lead.decided == lead.most == 1 and lead.p * pairs <= 0.05
    assert 0.65 <= seen / 60 <= 0.95


@pytest.mark.parametrize(("images", "pairs"), [(5, 1), (6, 2), (10, 26)])
def test_where_no_outcome_decides_nothing_is_detectable(scored: Plan, images: int, pairs: int) -> None:
    assert detectable(np.arange(float(images)).tolist(), pairs) is None
    assert detectable(np.arange(float(images + 1)).tolist(), pairs) is not None


def test_what_no_images_can_decide_is_told(scored: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.concat([rows("vq", 0, [20.0] * 5), rows("tvq", 0, AHEAD[:5])])
    monkeypatch.setattr(module, "load_scores", lambda plan, entries: frame)
    text = told(compare(scored, ["tvq", "vq"], "photos_test", ["psnr_y"]), "photos_test")
    assert "n/a: no difference can be decided of 5 images and 1 pair." in text


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
