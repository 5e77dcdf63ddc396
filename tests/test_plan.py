"""Presets and the graph of runs: what is shared, what a change remakes, what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plan.stored import record, stored_plan

Preset = Callable[..., Path]
ROOMS = (ROOT / "tvqsr" / "methods", ROOT / "baselines")
SHIPPED = [path.parent.name for room in ROOMS for path in sorted(room.glob("*/method.yaml"))]


def runs_by_stage(plan: Plan) -> dict[str, str]:
    return {f"{run.method.name}.{run.stage}": run.digest for run in plan.runs.values()}


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_shipped_presets_are_valid(name: str) -> None:
    assert Plan.load(name).runs


def test_a_preset_may_train_nothing(tmp_path: Path) -> None:
    plan = Plan.load("bicubic")
    assert (plan.runs, plan.preset.training_sets) == ({}, set())
    with pytest.raises(UserError, match="train_photos: nothing is trained in this preset; leave it out"):
        Plan.load("bicubic", {"train_photos": str(tmp_path)})
    with pytest.raises(UserError, match=r"it has no photos to train on: give `train_on: \{hr: SET, pairs: SET\}`"):
        Plan.load("bicubic", {"entries": {"vq": {"method": "vq"}}})
    own = {"vq": {"method": "vq", "stages": {name: {"trains_on": "set5"} for name in ("tokenizer", "predictor")}}}
    assert Plan.load("bicubic", {"entries": own, "test_on": ["set14"]}).preset.training_sets == {"set5"}


def test_paper_changes_nothing_of_what_was_published() -> None:
    """But for the ablations, which change what they are named after."""
    plan = Plan.load("paper")
    varied = {"quarter": 1, "half": 1, "eightfold": 1, "s16": 1, "s8": 1, "quarter_100k": 2, "eightfold_300k": 2}
    for entry in plan.entries.values():
        suffix = entry.name.removeprefix("tvq").removeprefix("vq").removeprefix("_rec").removeprefix("_")
        changes = set()
        for run in entry.run.lineage() if entry.run else []:
            published = run.method.spec.stages[run.stage]
            defaults = {name: setting.default for name, setting in published.settings.items()}
            changes |= {name for name, value in run.settings.items() if value != defaults[name]}
            changes |= {"training"} if run.training != published.training else set()
        assert len(changes) == varied.get(suffix, 0), entry.name


def test_a_tokenizer_is_shared_by_all_that_need_it(tiny_plan: Plan) -> None:
    tokenizers = {
        run.name
        for entry in ("tvq", "tvq_rec", "tvqrap")
        if (last := tiny_plan.entry(entry).run)
        for run in last.lineage()
        if run.stage == "tokenizer"
    }
    assert len(tokenizers) == 1
    assert len(tiny_plan.runs) == 5


@pytest.mark.parametrize(
    ("stage", "setting", "changed"),
    [
        ("tokenizer", {"codebook_size": 32}, {"tokenizer", "predictor", "rap"}),
        ("predictor", {"swin_depth": 2}, {"predictor", "rap"}),
        ("rap", {"pixel_weight": 2.0}, {"rap"}),
    ],
)
def test_a_changed_setting_retrains_its_stage_and_what_follows(
    preset: Preset, stage: str, setting: dict[str, Any], changed: set[str]
) -> None:
    before = runs_by_stage(Plan.load(str(preset())))
    after = runs_by_stage(Plan.load(str(preset(lambda p: p["methods"]["tvqrap"][stage]["settings"].update(setting)))))
    assert {key for key in before if before[key] != after[key]} == {f"tvqrap.{name}" for name in changed}


def test_weights_that_appear_remake_the_scores(
    preset: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = preset()
    before = Plan.load(str(path)).score_key("photos_test")
    assert Plan.load(str(path), {"downloads": True}).score_key("photos_test") != before
    weights = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert Plan.load(str(path)).score_key("photos_test") != before


def test_results_of_two_presets_never_mix(preset: Callable[..., Path], workspace: Path) -> None:
    with pytest.raises(UserError, match="would mix with those of the shipped `mini`"):
        Plan.load(str(preset(name="mini")))
    odd = workspace / "{odd}.yaml"
    preset().rename(odd)
    with pytest.raises(UserError, match="is made of letters"):
        Plan.load(str(odd))


def test_what_only_concerns_the_presentation_retrains_nothing(preset: Preset) -> None:
    def change(content: dict[str, Any]) -> None:
        content["entries"]["tvqrap"]["title"] = "another title"
        content["protocols"] = ["psnr_rgb"]
        content["runtime"]["threads"] = 2
        content["seeds"] = [3, 4]

    assert runs_by_stage(Plan.load(str(preset()))) == runs_by_stage(Plan.load(str(preset(change))))


def test_another_training_set_retrains_everything(preset: Preset, photo: Path) -> None:
    folder = photo.parent / "photos"
    folder.mkdir()
    photo.rename(folder / "a.png")
    before = runs_by_stage(Plan.load(str(preset())))

    def own_photos(content: dict[str, Any]) -> None:
        content["datasets"]["photos_train"] = {"folder": str(folder)}

    mine = preset(own_photos)
    after = runs_by_stage(Plan.load(str(mine)))
    assert all(before[key] != after[key] for key in before)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    assert runs_by_stage(Plan.load(str(mine))) != after


def test_an_entry_may_change_a_stage_for_itself(preset: Preset) -> None:
    def add(content: dict[str, Any]) -> None:
        stages = {"tokenizer": {"settings": {"codebook_size": 8}}}
        content["entries"]["vq_k8"] = {"method": "vq", "stages": stages}

    plan = Plan.load(str(preset(add)))
    run = plan.entry("vq_k8").run
    assert run is not None
    assert run.needs["tokenizer"].settings["codebook_size"] == 8
    assert len(plan.runs) == 7


def test_a_stored_plan_is_the_plan(tiny_plan: Plan, workspace: Path) -> None:
    from tvqsr.files import write_json

    write_json(tiny_plan.paths.record, record(tiny_plan))
    moved = workspace / "elsewhere"
    tiny_plan.paths.root.rename(moved)
    stored = stored_plan(moved)
    assert record(stored) == record(tiny_plan)
    assert stored.paths.root == moved


def test_a_training_asks_for_its_methods_resources_in_proportion(preset: Callable[..., Path]) -> None:
    def minutes(**runtime: Any) -> dict[str, int]:
        plan = Plan.load(str(preset(lambda content: content["runtime"].update(runtime))))
        return {f"{run.method.name}.{run.stage}": plan.train_minutes(name) for name, run in plan.runs.items()}

    # Four steps of 2 crops of 64 pixels, of the 450,000 of 8 crops of 512 that were published.
    assert minutes(gpus=1)["tvqrap.tokenizer"] == 31
    assert minutes(gpus=0, job_hours=3)["tvqrap.tokenizer"] == 180


@pytest.mark.parametrize("name", SHIPPED)
def test_every_stage_of_a_shipped_method_names_its_hours_and_memory(name: str) -> None:
    stages = load_method(name, "here").spec.stages
    assert [stage for stage, spec in stages.items() if spec.resources.model_fields_set != {"hours", "memory_mb"}] == []


def test_hours_are_about_twice_those_that_the_estimate_tells() -> None:
    told = (ROOT / "results" / "published" / "estimate_paper.txt").read_text()
    hours = {name: float(value) for name, value in re.findall(r"^(\w+\.\S+) .* (\S+) +\d+$", told, re.MULTILINE)}
    runs = {name: run for name, run in Plan.load("paper").runs.items() if not run.released}
    assert set(hours) == set(runs), "remake it: results/README.md says how"
    assert [name for name, run in runs.items() if run.hours != pytest.approx(2 * hours[name], rel=0.1, abs=1)] == []


def test_a_training_of_days_asks_for_no_more_than_a_job_may(preset: Callable[..., Path]) -> None:
    def published(content: dict[str, Any]) -> None:
        content["runtime"].update(gpus=1)
        content["training"].update(iterations=450_000, batch_size=8, hr_crop=512)

    plan = Plan.load(str(preset(published)))
    run = next(run for run in plan.runs.values() if (run.method.name, run.stage) == ("tvqrap", "tokenizer"))
    assert run.hours == run.spec.resources.hours
    assert plan.train_minutes(run.name) == min(run.hours, 24) * 60

    def shared_out(content: dict[str, Any]) -> None:
        published(content)
        content["runtime"].update(processes=4)

    shared = Plan.load(str(preset(shared_out)))
    assert shared.train_minutes(run.name) == run.hours / 4 * 60 + 30
