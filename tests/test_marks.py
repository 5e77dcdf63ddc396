"""Best and second best: found where entries differ, and hardly ever where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap, ttest_1samp

from tests.test_report import PROTOCOLS
from tests.test_report import rows as score_rows
from tvqsr.plan import Plan
from tvqsr.report.marks import RULE, marked, marks, too_few
from tvqsr.report.scores import summarise
from tvqsr.report.tables import markdown, table_summary
from tvqsr.statistics import (
    BOOTSTRAP_FROM,
    RESAMPLES,
    SEED,
    bootstrap_intervals,
    decided,
    mean_interval,
    mean_intervals,
)


def frame(entries: dict[str, NDArray[np.float64]], protocol: str = "psnr_y") -> pd.DataFrame:
    """Scores of entries (seeds, images)."""
    table = []
    for entry, values in entries.items():
        table += score_rows(entry, protocol, {seed: row.tolist() for seed, row in enumerate(np.atleast_2d(values))})
    return pd.DataFrame(table)


def drawn(number: int, leads: list[float], images: int, seeds: int = 1, noise: float = 0.5) -> pd.DataFrame:
    """Entries `e0`, `e1`, ... that are ahead of nothing by `leads`, on the same images of very different difficulty."""
    random = np.random.default_rng(number)
    photos = random.normal(25, 3, images)
    return frame({f"e{k}": photos + lead + random.normal(0, noise, (seeds, images)) for k, lead in enumerate(leads)})


def marked_entries(scores: pd.DataFrame) -> dict[str, str]:
    return marks(scores, set(scores.entry))


@pytest.mark.parametrize(("entries", "images"), [(2, 10), (2, 40), (5, 40)])
def test_equal_entries_are_hardly_ever_marked(entries: int, images: int) -> None:
    """At most one draw in twenty, as the rule says; of 100 draws nine or more would be that by 1 chance in 16."""
    false = sum(bool(marked_entries(drawn(number, [0.0] * entries, images))) for number in range(100))
    assert false <= 8


def test_a_tie_for_the_best_is_not_marked_whatever_follows() -> None:
    """The rule's worst case: two are equal, and all others far behind."""
    false = sum("e0" in marked_entries(drawn(number, [5.0, 5.0, 0.0, 0.0], 30)) for number in range(60))
    assert false <= 6


def test_clear_differences_are_found() -> None:
    found = [marked_entries(drawn(number, [0.0, 1.0, 2.0, -1.0], 40)) for number in range(20)]
    assert all(marks == {"e2": "best", "e1": "second"} for marks in found)


def test_lower_is_better_turns_the_order() -> None:
    scores = drawn(0, [0.0, 1.0, 2.0], 40).assign(**PROTOCOLS["lpips_alex"], protocol="lpips_alex")
    assert marked_entries(scores) == {"e0": "best", "e1": "second"}


def test_five_images_are_too_few() -> None:
    photos = np.array([20.0, 25.0, 30.0, 22.0, 28.0])
    assert marked_entries(frame({"a": photos + 9, "b": photos})) == {}
    assert too_few(5, 2)
    more = np.append(photos, 21.0)
    assert marked_entries(frame({"a": more + 9, "b": more})) == {"a": "best"}
    assert not too_few(6, 2)
    assert too_few(6, 3)


def test_no_second_where_the_first_is_open() -> None:
    photos = np.linspace(20, 30, 20)
    wobble = np.tile([0.5, -0.5], 10)
    scores = frame({"a": photos + 3 + wobble, "b": photos + 3 - wobble, "c": photos})
    assert marked_entries(scores) == {}


def test_a_seed_that_disagrees_leaves_all_unmarked() -> None:
    photos = np.linspace(20, 30, 20)
    scores = frame({"a": np.stack([photos + 5, photos - 1]), "b": np.stack([photos, photos])})
    assert marked_entries(scores) == {}
    agreeing = frame({"a": np.stack([photos + 5, photos + 1]), "b": np.stack([photos, photos])})
    assert marked_entries(agreeing)["a"] == "best"


def test_what_has_one_seed_stands_against_every_seed() -> None:
    """A control of one seed below the mean of two, but above one of them."""
    photos = np.linspace(20, 30, 20)
    scores = frame({"control": photos, "trained": np.stack([photos + 5, photos - 1])})
    assert marked_entries(scores) == {}


def test_who_was_shown_hr_is_no_rival(tiny_plan: Plan) -> None:
    photos = np.linspace(20, 30, 30)
    heights = dict.fromkeys(tiny_plan.entries, 0.0) | {"hr_copy": 50.0, "vq_rec": 20.0, "tvqrap": 3.0, "tvq": 2.0}
    scores = frame({entry: photos + height for entry, height in heights.items()})
    summary = table_summary(tiny_plan, tiny_plan.tables["main"], scores)
    found = summary[summary.mark != ""].set_index("entry").mark.to_dict()
    assert found == {"tvqrap": "best", "tvq": "second"}
    text = markdown(tiny_plan, tiny_plan.tables["main"], "photos_test", summary)
    assert "| **28.00** [" in text
    assert "| <u>27.00</u> [" in text
    assert f"- {RULE}\n" in text
    assert "- One training each: how far another seed strays is not known. Marks tell these trainings apart" in text
    several = markdown(tiny_plan, tiny_plan.tables["main"], "photos_test", summary.replace({"trainings": {1: 2}}))
    assert "ne training" not in several


def test_few_images_and_whole_sets_are_told(tiny_plan: Plan) -> None:
    fid = [
        {"entry": entry, "seed": 0, "testset": "photos_test", "image": "(set)", "protocol": "fid", "value": value}
        | {"reason": None, "title": "FID", "higher_is_better": False, "decimals": 2, "crop": 0, "definition": "d"}
        for value, entry in enumerate(tiny_plan.entries)
    ]
    photos = {entry: np.arange(5.0) + height for height, entry in enumerate(tiny_plan.entries)}
    scores = pd.concat([frame(photos), pd.DataFrame(fid)], ignore_index=True)
    summary = table_summary(tiny_plan, tiny_plan.tables["main"], scores)
    assert set(summary.mark) == {""}
    text = markdown(tiny_plan, tiny_plan.tables["main"], "photos_test", summary)
    assert "Too few images to mark a best: of 5, and with 4 entries that read LR," in text
    assert "FID: one number for the whole set has no interval over images and is not marked." in text


def test_one_photo_is_no_whole_set(tiny_plan: Plan) -> None:
    scores = frame({entry: np.array([20.0 + height]) for height, entry in enumerate(tiny_plan.entries)})
    text = markdown(tiny_plan, main := tiny_plan.tables["main"], "photos_test", table_summary(tiny_plan, main, scores))
    assert "PSNR-Y: of one photo there is no interval, and nothing is marked." in text
    assert "whole set" not in text


def test_measures_of_a_codebook_are_no_merit() -> None:
    photos = np.linspace(0, 1, 30)
    scores = frame({"a": photos + 1, "b": photos}).assign(protocol="index_accuracy")
    assert set(marked(summarise(scores), scores, ["a", "b"]).mark) == {""}


@pytest.mark.parametrize("size", [2, 5, 60])
def test_intervals_are_scipys(size: int) -> None:
    samples = list(np.random.default_rng(size).normal(25, 3, (3, size)))
    shorter = bootstrap_intervals([np.ones(1), *samples, np.zeros(size + 1)])
    assert (shorter[0], shorter[-1]) == (None, (0.0, 0.0))
    for sample, interval in zip(samples, shorter[1:-1], strict=True):
        rng = np.random.default_rng(SEED)
        drawn = bootstrap((sample,), np.mean, n_resamples=RESAMPLES, batch=500, method="percentile", rng=rng)
        assert interval == pytest.approx(tuple(drawn.confidence_interval), rel=1e-12)
        mean, alone = mean_interval(sample.tolist())
        assert mean == sample.mean()
        if size < BOOTSTRAP_FROM:
            expected = ttest_1samp(sample, 0.0).confidence_interval(0.95)
            assert alone == pytest.approx((expected.low, expected.high), rel=1e-12)
        else:
            assert alone == pytest.approx(interval, rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5, 10, 29])
def test_intervals_of_few_images_cover_what_they_say(size: int) -> None:
    """The bootstrap's cover 52, 71, 85 and 90% of 2, 3, 5 and 10."""
    samples = np.random.default_rng(size).normal(0, 1, (4000, size))
    held = [low <= 0 <= high for low, high in filter(None, mean_intervals(list(samples)))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval_and_a_constant_no_width() -> None:
    assert mean_intervals([np.ones(1), np.full(5, 0.1), np.full(40, 0.1)]) == [None, (0.1, 0.1), (0.1, 0.1)]


def test_decided_needs_interval_and_every_seed() -> None:
    assert decided((0.1, 0.3), [0.2, 0.1]) == 1
    assert decided((-0.3, -0.1), [-0.2]) == -1
    assert decided((0.1, 0.3), [0.2, -0.1]) == 0
    assert decided((-0.1, 0.3), [0.2, 0.1]) == 0
