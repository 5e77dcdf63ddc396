"""Which entries of a preset are made, on which sets, and that a comparison is under one budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.method import Setting

Preset = Callable[..., Path]

HALF = {"tokenizer": {"settings": {"codebook_size": 8}}}


def _with_more(content: dict[str, Any]) -> None:
    content["more_entries"] = {"vq_half": {"method": "vq", "stages": HALF}, "nearest": {"method": "nearest"}}
    content["tables"] = {
        "sizes": {"title": "Sizes", "entries": ["vq", "vq_half"]},
        "far": {"title": "Only more", "entries": ["nearest"]},
    }


def test_more_entries_wait_until_they_are_asked_for(preset: Preset) -> None:
    path = str(preset(_with_more))
    plain, whole = Plan.load(path), Plan.load(path, {"entries": "all"})
    assert set(whole.entries) - set(plain.entries) == {"vq_half", "nearest"}
    assert set(plain.runs) < set(whole.runs)
    assert plain.tables["sizes"].entries == ("vq",) and "far" not in plain.tables
    assert whole.tables["sizes"].entries == ("vq", "vq_half") and whole.tables["far"].entries == ("nearest",)


def test_entries_are_made_that_are_named(preset: Preset) -> None:
    plan = Plan.load(str(preset(_with_more)), {"entries": ["nearest", "vq"]})
    assert list(plan.entries) == ["vq", "nearest"]
    assert {run.method.name for run in plan.runs.values()} == {"vq"}
    alone = Plan.load(str(preset(_with_more)), {"entries": "nearest"})
    assert list(alone.entries) == ["nearest"] and set(alone.tables) == {"main", "far"}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(["vqq"], "entries: unknown entry `vqq`; did you mean `vq`?"), ([], "entries: at least one expected")],
)
def test_entries_that_do_not_exist_are_named(preset: Preset, wanted: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        Plan.load(str(preset(_with_more)), {"entries": wanted})
    assert message in str(error.value)


def test_an_entry_may_have_test_sets_of_its_own(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["other"] = {"source": "skimage_test", "degradation": "resshift_test"}
        content["test_on"] = ["photos_test", "other"]
        content["entries"]["vq"]["test_on"] = ["other"]

    plan = Plan.load(str(preset(change)))
    assert plan.test_sets("vq") == ["other"] and plan.test_sets("tvq") == ["photos_test", "other"]
    with pytest.raises(UserError, match=r"entries\.vq\.test_on: `photos_train` is not in `test_on`"):
        Plan.load(str(preset(lambda p: p["entries"]["vq"].update(test_on=["photos_train"]))))


def test_a_test_set_may_be_for_those_who_name_it(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["other"] = {"source": "skimage_test", "degradation": "resshift_test", "only_named": True}
        content["test_on"] = ["photos_test", "other"]
        content["more_entries"] = {"nearest": {"method": "nearest", "test_on": ["other"]}}

    plain, whole = (Plan.load(str(preset(change)), chosen) for chosen in ({}, {"entries": "all"}))
    assert plain.test_sets("vq") == whole.test_sets("vq") == ["photos_test"]
    assert whole.test_sets("nearest") == ["other"]
    assert "other" not in plain.used_datasets and "other" in whole.used_datasets
    assert plain.table_sets("main") == ["photos_test"] and whole.table_sets("main") == ["photos_test", "other"]


def test_a_stage_may_train_on_a_set_of_its_own(preset: Preset, photo: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["mine"] = {"folder": str(photo.parent)}
        content["methods"]["vq"]["predictor"]["trains_on"] = "mine"

    plan = Plan.load(str(preset(change)))
    trained_on = {(run.method.name, run.stage): run.dataset for run in plan.runs.values()}
    assert trained_on["vq", "predictor"] == "mine" and trained_on["vq", "tokenizer"] == "photos_train"
    assert plan.is_training_set("mine") and "mine" in plan.used_datasets


def _compared(settings: dict[str, Any] | None = None, training: dict[str, Any] | None = None) -> Callable[..., None]:
    def change(content: dict[str, Any]) -> None:
        content["entries"]["other"] = {
            "method": "vq",
            "stages": {"tokenizer": {"settings": settings or {}, "training": training or {}}},
        }
        rows = ["vq", "tvq", "bicubic", "other"]
        content["tables"] = {"fair": {"title": "Fair", "entries": rows, "varies": ["codebook_size"]}}

    return change


def test_a_comparison_under_one_budget_is_accepted(preset: Preset) -> None:
    assert Plan.load(str(preset(_compared({"codebook_size": 8})))).tables["fair"].varies == ("codebook_size",)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (_compared({"width": 8}), "tokenizer.settings.width: 4 against 8"),
        (_compared(training={"iterations": 5}), "tokenizer.training.iterations: 4 against 5"),
        (_compared(training={"batch_size": 1}), "tokenizer.training.batch_size: 2 against 1"),
    ],
)
def test_a_comparison_under_two_budgets_is_refused(preset: Preset, changed: Any, difference: str) -> None:
    with pytest.raises(UserError) as error:
        Plan.load(str(preset(changed)))
    assert f"tables.fair: `vq` and `other` differ in {difference}" in str(error.value)


def test_choices_may_be_explained() -> None:
    setting = Setting(default="vq", choices={"vq": "one codebook", "fsq": "no codebook"})
    assert setting.check("fsq", "here") == "fsq"
    with pytest.raises(UserError, match="expected one of vq, fsq, found 'rq'"):
        setting.check("rq", "here")


def test_figures_belong_to_a_table_and_show_what_can_be_told_apart(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        content["more_entries"] = {f"near_{number}": {"method": "nearest"} for number in range(20)}
        rows = ["vq", "near_0", "vq_rec"]
        content["tables"] = {"few": {"title": "Few", "entries": rows, "figures": ["strip"]}}

    plan = Plan.load(str(preset(change)), {"entries": "all"})
    assert plan.figures == ("strip.main", "plane.main", "codes.main", "curves.main", "strip.few", "codebook", "cost")
    assert [entry.name for entry in plan.figure_entries("strip.few")] == ["vq", "near_0", "vq_rec"]
    assert len(plan.tables["main"].entries) == 27
    shown = [entry.name for entry in plan.figure_entries("plane.main")]
    assert shown == [name for name in plan.entries if not name.startswith("near_")] == list(plan.preset.entries)[:7]
    assert plan.figure_entries("codebook") == [] and plan.figure_set("codebook") is None
    assert plan.figure_set("strip.few") == "photos_test"
