"""Presets, the graph of runs, and digests."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.digest import forget_sources, source_digest
from tvqsr.plan.method import PACKAGE, read_method
from tvqsr.plan.stored import record, stored_plan

Preset = Callable[..., Path]
Change = Callable[[dict[str, Any]], object]


def runs_by_stage(plan: Plan) -> dict[str, str]:
    return {f"{run.method.name}.{run.stage}": run.digest for run in plan.runs.values()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(sedes=[1]), r"mine\.yaml: unknown key `sedes`; did you mean `seeds`\?"),
        (lambda p: p.pop("protocols"), r"mine\.yaml: `protocols` is missing"),
        (lambda p: p.update(downloads="yes"), r"mine\.yaml: `downloads`: .*found 'yes'"),
        (lambda p: p.update(seeds=[1, 1]), r"mine\.yaml: seeds: each may be given once"),
        (lambda p: p.update(seeds=[-1]), r"mine\.yaml: seeds: numbers >= 0 expected"),
        (lambda p: p.update(protocols=["psnr_x"]), r"protocols: unknown protocol `psnr_x`; did you mean `psnr_y`\?"),
        (
            lambda p: p["datasets"]["photos_test"].update(source="skimage_tst"),
            r"datasets\.photos_test: unknown source `skimage_tst`; did you mean",
        ),
        (lambda p: p["datasets"]["photos_test"].update(source="skimage_train"), r"used for training and for testing"),
        (lambda p: p["training"].update(hr_crop=80), r"hr_crop of .*: 80 is not a multiple of 32"),
        (lambda p: p["training"].update(learning_rate=float("inf")), r"training: `learning_rate`"),
        (lambda p: p["training"].update(learning_rate=True), r"training: `learning_rate`"),
        (lambda p: p["training"].update(ema="0.5"), r"training: `ema`"),
        (
            lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(gan_weight=float("nan")),
            r"settings\.gan_weight: expected a finite number",
        ),
        (lambda p: p["training"].update(batch=3), r"mine\.yaml: training: unknown key `batch`; did you mean"),
        (lambda p: p["training"].update(iterations="many"), r"mine\.yaml: training: `iterations`"),
        (lambda p: p["training"].update(hr_crop=66), r"hr_crop of .*: 66 is not a multiple of"),
        (lambda p: p["methods"].update(tvqrapp={}), r"methods: unknown method `tvqrapp`; did you mean `tvqrap`\?"),
        (lambda p: p["methods"]["vq"].update(rap={}), r"methods\.vq: unknown stage `rap` of `vq`"),
        (
            lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(widht=8),
            r"methods\.vq\.tokenizer\.settings: unknown key `widht`; did you mean `width`\?",
        ),
        (
            lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(width="wide"),
            r"settings\.width: expected int, found 'wide'",
        ),
        (
            lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(norm="batch"),
            r"settings\.norm: expected one of group, channel, found 'batch'",
        ),
        (
            lambda p: p["methods"]["vq"]["tokenizer"]["settings"].update(codebook_size=1),
            r"codebook_size: expected at least 2",
        ),
        (lambda p: p["entries"].update(x1={"method": "femasrr"}), r"entries\.x1: unknown method `femasrr`"),
        (lambda p: p["entries"]["vq"].update(upscales_with="rap"), r"entries\.vq: unknown stage `rap`"),
        (lambda p: p["entries"]["vq"].update(stages={"rap": {}}), r"entries\.vq\.stages: `rap` is no stage"),
        (lambda p: p.update(test_on=["photos_train"]), r"`photos_train` is used for training and for testing"),
        (lambda p: p.update(test_on=["set5"]), r"unknown dataset `set5`"),
        (
            lambda p: p["datasets"]["photos_test"].update(folder="x"),
            r"give either `source`, `hub`, or `folder` and/or `lr_folder`",
        ),
    ],
)
def test_a_wrong_preset_is_named_with_file_and_key(preset: Preset, change: Change, message: str) -> None:
    path = preset(change)
    with pytest.raises(UserError, match=message) as error:
        Plan.load(str(path))
    assert "\n" not in str(error.value)


def test_unreadable_presets(workspace: Path) -> None:
    (workspace / "broken.yaml").write_text("entries: [unclosed")
    (workspace / "list.yaml").write_text("- a\n")
    with pytest.raises(UserError, match=r"broken\.yaml: is not valid YAML"):
        Plan.load("broken.yaml")
    with pytest.raises(UserError, match=r"list\.yaml: expected a mapping"):
        Plan.load("list.yaml")
    (workspace / "twice.yaml").write_text("seeds: [0]\nentries: {a: 1, b: 2, a: 3}\n")
    with pytest.raises(UserError, match=r"twice\.yaml: is not valid YAML \(the key `a` is given twice .* line 2"):
        Plan.load("twice.yaml")
    with pytest.raises(UserError, match=r"unknown preset `minni`; did you mean `mini`\?"):
        Plan.load("minni")
    with pytest.raises(UserError, match="no such file"):
        Plan.load("absent.yaml")


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_shipped_presets_are_valid(name: str) -> None:
    assert Plan.load(name).runs


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


def test_stages_in_a_circle_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "circle"
    folder.mkdir()
    training = "{iterations: 1, batch_size: 1, hr_crop: 64, learning_rate: 1.0, betas: [0, 0], ema: 0}"
    stages = "".join(
        f"  {a}: {{trains_on: hr, needs: [{b}], training: {training}}}\n" for a, b in (("one", "two"), ("two", "one"))
    )
    (folder / "method.yaml").write_text(
        f"name: circle\ntitle: C\nkind: vq\ndiffers: all\nupscales_with: one\nstages:\n{stages}"
    )
    method = read_method(folder)
    from tvqsr.plan.load import load_preset
    from tvqsr.plan.runs import RunBuilder

    _, content = load_preset("mini", {})
    with pytest.raises(UserError, match=r"in a circle: circle\.one -> circle\.two -> circle\.one"):
        RunBuilder(content, "here").build(method, "one", None, "here")


def fresh_digest(file: Path) -> str:
    """Digest of what the file holds now."""
    forget_sources()
    return source_digest(file)


def test_source_digest_ignores_comments_and_docstrings_but_not_code(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text('"""One."""\n\ndef f(x: int) -> int:\n    """Add."""\n    return x + 1\n')
    before = fresh_digest(file)
    file.write_text('"""Two."""\n# why\ndef f(x: int) -> int:\n\n    return (x + 1)\n')
    assert fresh_digest(file) == before
    file.write_text("def f(x: int) -> int:\n    return x + 2\n")
    assert fresh_digest(file) != before


def test_source_digest_follows_imports_into_numeric_rooms_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tvqsr.plan.digest as module

    package = tmp_path / "tvqsr"
    for room in ("nn", "plan", "report"):
        (package / room).mkdir(parents=True)
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from tvqsr.nn.blocks import f\nfrom tvqsr.plan.paths import g\n")
    (package / "nn" / "blocks.py").write_text("from tvqsr.nn import deeper\n")
    (package / "nn" / "deeper.py").write_text("x = 1\n")
    (package / "plan" / "paths.py").write_text("x = 1\n")
    (package / "report" / "plot.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "PACKAGE", package)

    def digest() -> str:
        module.forget_sources()
        return source_digest(plugin)

    before = digest()
    for untouched in (package / "plan" / "paths.py", package / "report" / "plot.py"):
        untouched.write_text("x = 2\n")
        assert digest() == before
    (package / "nn" / "deeper.py").write_text("x = 2\n")
    assert digest() != before


def test_source_digest_follows_relative_imports_and_nothing_else_of_a_folder(tmp_path: Path) -> None:
    plugin, neighbour, other = (tmp_path / name for name in ("plugin.py", "neighbour.py", "other.py"))
    plugin.write_text("from .neighbour import f\n")
    neighbour.write_text("f = 1\n")
    other.write_text("x = 1\n")
    before = fresh_digest(plugin)
    other.write_text("x = 2\n")
    assert fresh_digest(plugin) == before
    neighbour.write_text("f = 2\n")
    assert fresh_digest(plugin) != before


def test_a_plot_is_not_part_of_what_trains(tiny_plan: Plan) -> None:
    """The closure of the training job holds networks and losses, and nothing of the report or the scores."""
    from tvqsr.plan.digest import sources

    run = next(iter(tiny_plan.runs.values()))
    rooms = {
        file.relative_to(PACKAGE).parts[0]
        for file in sources(PACKAGE / "train" / "job.py", run.method.plugin)
        if file.is_relative_to(PACKAGE)
    }
    assert {"nn", "train", "data"} <= rooms
    assert not rooms & {"report", "score", "upscale", "plan"}


def test_a_stored_plan_is_the_plan(tiny_plan: Plan, workspace: Path) -> None:
    from tvqsr.files import write_json

    write_json(tiny_plan.paths.record, record(tiny_plan))
    moved = workspace / "elsewhere"
    tiny_plan.paths.root.rename(moved)
    stored = stored_plan(moved)
    assert record(stored) == record(tiny_plan)
    assert stored.paths.root == moved


def test_a_folder_without_a_plan_is_refused(workspace: Path) -> None:
    with pytest.raises(UserError, match=r"is no results folder \(no plan\.json\)"):
        stored_plan(workspace)


def test_errors_of_method_yaml_name_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for text, message in (
        ("name: other\ntitle: T\nkind: vq\ndiffers: d\n", "name is `other` but the folder is `mine`"),
        ("name: mine\ntitle: T\nkind: cnn\ndiffers: d\n", "`kind`"),
        ("name: mine\ntitle: T\nkind: vq\ndiffers: d\nupscales_with: a\n", "exactly when there are stages"),
    ):
        (folder / "method.yaml").write_text(text)
        with pytest.raises(UserError, match=re.escape(message)):
            read_method(folder)
