"""What is wrong in a preset, a method or a folder of results is named with its file and key."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.method import read_method
from tvqsr.plan.stored import EXPECTED, plan_digest, record, stored_plan

Preset = Callable[..., Path]


Change = Callable[[dict[str, Any]], object]


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


def test_a_folder_without_a_plan_is_refused(workspace: Path) -> None:
    with pytest.raises(UserError, match=r"is no results folder \(no plan\.json\)"):
        stored_plan(workspace)


def test_a_job_goes_by_no_other_plan_than_its_snakemake_s(
    results: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`plan.json` is replaced by another, as by `tvqsr record`, between the start and a job."""
    plan = stored_plan(results)
    monkeypatch.setenv(EXPECTED, plan_digest(record(plan)))
    assert stored_plan(results).preset == plan.preset
    changed = replace(plan, preset=plan.preset.model_copy(update={"crop": 0}))
    write_json(plan.paths.record, record(changed))
    done = tvqsr("table", results, "main")
    assert done.returncode == 2
    assert "plan.json: is not the plan that this Snakemake started with" in done.stderr
    monkeypatch.delenv(EXPECTED)
    assert stored_plan(results).preset.crop == 0


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
