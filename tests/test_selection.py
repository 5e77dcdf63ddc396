"""Which entries of a preset are made, on which sets, and that a comparison is under one budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.method import Setting
from tvqsr.plan.stored import record, stored_plan

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
    assert list(plain.tables) == ["main"], "one row alone compares nothing"
    assert whole.tables["sizes"].entries == ("vq", "vq_half") and whole.tables["far"].entries == ("nearest",)


def test_entries_are_made_that_are_named(preset: Preset) -> None:
    plan = Plan.load(str(preset(_with_more)), {"entries": ["nearest", "vq"]})
    assert list(plan.entries) == ["vq", "nearest"]
    assert {run.method.name for run in plan.runs.values()} == {"vq"}
    half = Plan.load(str(preset(_with_more)), {"entries": ["bicubic", "vq_half"]})
    assert "sizes" not in half.tables, "one of two sizes compares nothing"
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


def _in_tracks(content: dict[str, Any]) -> None:
    for name in ("blind", "real"):
        content["datasets"][name] = {"source": "skimage_test", "degradation": "bsrgan"}
    content["test_on"] = ["photos_test", "blind", "real"]
    content["tracks"] = {"bicubic": ["photos_test"], "bsrgan": ["blind", "real"]}
    content["entries"] |= {"tvq": content["entries"]["tvq"] | {"track": "bsrgan"}}


def test_no_table_holds_trained_entries_of_two_tracks(preset: Preset) -> None:
    """An entry is of its own track, or of the first; what is not trained goes along."""
    plan = Plan.load(str(preset(_in_tracks)))
    assert plan.test_sets("vq") == plan.test_sets("vq_rec") == ["photos_test"]
    assert plan.test_sets("tvq") == ["blind", "real"]
    assert plan.test_sets("bicubic") == plan.table_sets("main") == ["photos_test", "blind", "real"]
    for testset in plan.preset.test_on:
        trained = {entry.name for entry in plan.entries_on(testset) if entry.run}
        assert trained == ({"tvq"} if testset != "photos_test" else {"vq", "vq_rec", "tvq_rec", "tvqrap"})


def test_sets_of_a_track_that_no_entry_belongs_to_are_not_made(preset: Preset) -> None:
    plan = Plan.load(str(preset(_in_tracks)), {"entries": ["bicubic", "tvq"]})
    assert plan.test_sets("bicubic") == ["blind", "real"]
    assert "photos_test" not in plan.used_datasets
    alone = Plan.load(str(preset(_in_tracks)), {"entries": "bicubic"})
    assert alone.test_sets("bicubic") == ["photos_test", "blind", "real"]


def test_what_is_not_trained_may_belong_to_a_track(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        _in_tracks(content)
        content["entries"]["bicubic"]["track"] = "bicubic"
        content["entries"]["tvq"]["test_on"] = ["real"]

    plan = Plan.load(str(preset(change)))
    assert plan.test_sets("bicubic") == ["photos_test"]
    assert plan.test_sets("hr_copy") == ["photos_test", "real"]
    assert plan.test_sets("tvq") == ["real"]


def test_what_is_not_trained_may_name_sets_of_two_tracks(preset: Preset) -> None:
    """Published numbers of an untrained entry may be about another track's set."""

    def change(content: dict[str, Any]) -> None:
        _in_tracks(content)
        content["entries"]["bicubic"]["test_on"] = ["photos_test", "real"]

    plan = Plan.load(str(preset(change)), {"entries": ["bicubic", "hr_copy"]})
    assert plan.test_sets("bicubic") == plan.test_sets("hr_copy") == ["photos_test", "real"]


def test_a_plan_read_back_has_its_tracks_in_order(preset: Preset, workspace: Path) -> None:
    plan = Plan.load(str(preset(_in_tracks)))
    write_json(plan.paths.record, record(plan))
    again = stored_plan(plan.paths.root)
    assert {name: again.test_sets(name) for name in again.entries} == {
        name: plan.test_sets(name) for name in plan.entries
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracks": {"bicubic": ["photos_test"], "bsrgan": ["blind"]}}, "test_on: `real` is in no track"),
        ({"tracks": {"bsrgan": ["blnd", "real"]}}, "tracks.bsrgan: unknown dataset `blnd`; did you mean `blind`?"),
        ({"tracks": {"bicubic": ["photos_test", "real"]}}, "`real` is in `bicubic` and in `bsrgan`"),
        ({"entries": {"vq": {"method": "vq", "track": "bsrgam"}}}, "entries.vq.track: unknown track `bsrgam`; did you"),
    ],
)
def test_tracks_that_would_mix_or_lose_a_set_are_refused(preset: Preset, change: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        Plan.load(str(preset(_in_tracks)), change)
    assert message in str(error.value)


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


def test_entries_are_compared_in_what_the_first_of_a_table_lacks(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        finer = {"tokenizer": {"settings": {"structure_scale": 16}}}
        content["entries"]["tvq_fine"] = {"method": "tvqrap", "upscales_with": "predictor", "stages": finer}
        content["tables"] = {"fair": {"title": "Fair", "entries": ["vq", "tvq", "tvq_fine"], "varies": []}}

    with pytest.raises(UserError, match=r"`tvq` and `tvq_fine` differ in .*structure_scale: 32 against 16"):
        Plan.load(str(preset(change)))


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
