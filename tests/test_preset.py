"""What presets say of each other, of data sets, tables and trainings, and what is laid over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.protocols import LPIPS_NETWORKS, hub_folder

Preset = Callable[..., Path]


def test_a_preset_may_extend_another(preset: Preset) -> None:
    base = preset(lambda p: p["entries"].update(best={"method": "tvqrap", "title": "Best"}), "base")
    path = base.with_name("child.yaml")
    path.write_text(f"extends: {base}\nseeds: [3]\ntraining: {{iterations: 7}}\nentries: {{best: {{title: Better}}}}\n")
    child, parent = Plan.load(str(path)), Plan.load(str(base))
    assert child.name == "child"
    assert child.preset.seeds == (3,)
    assert {run.training.iterations for run in child.runs.values()} == {7}
    assert {run.training.batch_size for run in child.runs.values()} == {2}
    assert list(child.entries) == list(parent.entries)
    assert child.entries["best"].title == "Better"


def test_presets_that_extend_each_other_are_refused(workspace: Path) -> None:
    (workspace / "a.yaml").write_text("extends: b.yaml\n")
    (workspace / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UserError, match="extend each other in a circle"):
        Plan.load("a.yaml")


def test_photos_to_train_on_replace_the_training_set(preset: Preset, photo: Path) -> None:
    folder = photo.parent / "mine"
    (folder / "below").mkdir(parents=True)
    photo.rename(folder / "below" / photo.name)
    before = Plan.load(str(preset()))
    after = Plan.load(str(preset()), {"train_photos": str(folder)})
    assert after.preset.datasets["photos_train"].folder == str(folder)
    assert after.preset.datasets["photos_test"] == before.preset.datasets["photos_test"]
    assert not set(after.runs) & set(before.runs)
    moved = folder.rename(folder.with_name("elsewhere"))
    assert set(Plan.load(str(preset()), {"train_photos": str(moved)}).runs) == set(after.runs)


def test_lpips_with_what_is_there(preset: Preset, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(content: dict[str, Any]) -> None:
        content["methods"]["tvqrap"]["rap"]["settings"]["perceptual"] = "lpips_present"

    monkeypatch.setenv("TORCH_HOME", str(workspace / "torch"))
    path = str(preset(change))

    def network() -> object:
        return next(run.settings["perceptual"] for run in Plan.load(path).runs.values() if run.stage == "rap")

    assert network() == "lpips_vgg"
    for name in ("lpips_squeeze", "lpips_alex"):
        file = hub_folder() / LPIPS_NETWORKS[name].path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert network() == name


def test_a_last_phase_counts_for_crops_too(preset: Preset) -> None:
    phase = {"iterations": 2, "batch_size": 1, "hr_crop": 80}
    with pytest.raises(UserError, match="80 is not a multiple of 32"):
        Plan.load(str(preset(lambda p: p["training"].update(last_phase=phase))))


def test_resized_crops_need_lr_made_in_training(preset: Preset) -> None:
    with pytest.raises(UserError, match="`resized` needs a degradation made in training"):
        Plan.load(str(preset(lambda p: p["training"].update(crop="resized"))))


def test_a_table_names_entries_of_the_preset(preset: Preset) -> None:
    table = {"title": "T", "entries": ["tvq", "tvqq"]}
    with pytest.raises(UserError, match=r"tables\.extra: unknown entry `tvqq`; did you mean `tvq`"):
        Plan.load(str(preset(lambda p: p.update(tables={"extra": table}))))


def test_the_whole_graph_of_the_paper_is_planned_without_its_data(workspace: Path) -> None:
    plan = Plan.load("paper")
    assert plan.preset.test_on[:4] == ("imagenet_test", "realsr", "realset65", "div2k_valid")
    assert plan.table_sets("main") == ["imagenet_test", "realsr", "realset65"], "no entry of another track is made"
    assert "realset65" not in plan.test_sets("tvq_rec")
    assert "realset65" in plan.test_sets("tvqrap")
    released = [run for run in plan.runs.values() if run.released]
    assert {run.stage for run in released} == {"tokenizer", "predictor", "rap"}
    assert all(plan.seeds_of(run.name) == (0,) for run in released)
    named = {entry for table in plan.tables.values() for entry in table.entries}
    assert named == set(plan.entries)


def test_training_on_a_test_set_is_refused_wherever_it_lies(workspace: Path, photo: Path) -> None:
    gt = workspace / "datasets" / "imagenet_test" / "HR"
    gt.mkdir(parents=True)
    photo.rename(gt / photo.name)
    for folder in (gt, workspace, gt / "below"):
        folder.mkdir(exist_ok=True)
        (folder / "x.png").write_bytes(b"")
        with pytest.raises(UserError, match="`imagenet_test` is used for training and for testing, or lies in"):
            Plan.load("paper", {"train_photos": str(folder)})


def test_changes_are_laid_over_a_preset(preset: Preset) -> None:
    changed = Plan.load(str(preset()), {"training": {"iterations": 3}, "entries": {"bicubic": None}})
    assert {run.training.iterations for run in changed.runs.values()} == {3}
    assert {run.training.batch_size for run in changed.runs.values()} == {2}
    assert "bicubic" not in changed.entries
    assert "tvqrap" in changed.entries


def test_an_empty_folder_of_a_set_got_by_hand_does_not_stop_the_planning(workspace: Path) -> None:
    (workspace / "datasets" / "realset65" / "LR").mkdir(parents=True)
    assert Plan.load("paper").prepare_key("realset65")


def test_how_a_set_is_stored_is_part_of_it(preset: Preset) -> None:
    one = Plan.load(str(preset()))
    other = Plan.load(str(preset(lambda p: p["datasets"]["photos_train"].update(store="files"))))
    assert one.prepare_key("photos_train") != other.prepare_key("photos_train")
    assert not set(one.runs) & set(other.runs)


def test_without_trainings_no_training_set_is_wanted(preset: Preset) -> None:
    plan = Plan.load(str(preset(lambda p: p.update(entries={"bicubic": {"method": "bicubic"}}))))
    assert plan.used_datasets == ["photos_test"]


def test_costs_are_measured_again_on_other_threads_but_nothing_is_trained_again(preset: Preset) -> None:
    one = Plan.load(str(preset()))
    other = Plan.load(str(preset()), {"runtime": {"threads": 2}})
    assert one.efficiency_key("tvqrap") != other.efficiency_key("tvqrap")
    assert set(one.runs) == set(other.runs)
    assert one.upscale_key("tvqrap") == other.upscale_key("tvqrap")
