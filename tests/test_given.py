"""Entries that are given a checkpoint or finished outputs: plan, images, report and workflow."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image

from tests.conftest import Command
from tests.test_spandrel import rrdb_weights
from tests.test_workflow import jobs, plan_again, snakemake
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.files import sha256, write_json
from tvqsr.plan import Plan
from tvqsr.plan.given import outputs_folder
from tvqsr.plan.stored import record, stored_plan

Preset = Callable[..., Path]
OUTPUTS = {"method": "images", "given": "outputs", "title": "Theirs"}


def entries(**wanted: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    """A change of the tiny preset: these entries and bicubic, and nothing to train."""
    return lambda p: p.update(entries={"bicubic": {"method": "bicubic"}} | wanted, methods={})


def with_two_sets(content: dict[str, Any]) -> None:
    entries(theirs=OUTPUTS, net={"method": "spandrel", "given": "net.pth"})(content)
    content["datasets"]["other"] = {"folder": "other"}
    content["test_on"] = ["photos_test", "other"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"method": "spandrel"}, "entries.theirs: `spandrel` needs `given`: the path of a checkpoint"),
        ({"method": "images"}, "entries.theirs: `images` needs `given`: a folder of outputs"),
        ({"method": "nearest", "given": "x.pth"}, "entries.theirs.given: `nearest` is given nothing; leave it out"),
        ({"method": "vq", "given": "x.pth"}, "entries.theirs.given: `vq` is given nothing"),
        ({"method": "spandrel", "given": ""}, "entries.theirs.given"),
        ({"method": "spandrel", "given": "x", "stages": {"a": {}}}, "entries.theirs.stages: `a` is no stage"),
    ],
)
def test_an_entry_is_given_what_its_method_wants(preset: Preset, entry: dict[str, Any], message: str) -> None:
    path = preset(lambda p: p["entries"].update(theirs=entry))
    with pytest.raises(UserError) as error:
        Plan.load(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_method_that_is_given_something_is_not_trained(tmp_path: Path) -> None:
    from tvqsr.plan.method import read_method

    (tmp_path / "mine").mkdir()
    training = "{iterations: 1, batch_size: 1, hr_crop: 64, learning_rate: 1, betas: [0, 0], ema: 0}"
    about = "{name: mine, title: T, kind: released, differs: d, given: images, upscales_with: a, stages: {a: %s}}"
    (tmp_path / "mine" / "method.yaml").write_text(about % f"{{trains_on: hr, training: {training}}}")
    with pytest.raises(UserError, match="`given` is for a method without stages"):
        read_method(tmp_path / "mine")


def test_titles_tell_what_was_given_and_the_stored_plan_keeps_it(preset: Preset, workspace: Path) -> None:
    change = entries(net={"method": "spandrel", "given": "net.pth"}, theirs=OUTPUTS)
    plan = Plan.load(str(preset(change)), {"seeds": [3, 4]})
    assert plan.entry("net").title == "net (weights given)"
    assert plan.entry("theirs").title == "Theirs (outputs given)"
    assert plan.entry("bicubic").title == "Bicubic"
    assert [entry.seeds for entry in plan.entries.values()] == [(3,)] * 3
    write_json(plan.paths.record, record(plan))
    stored = stored_plan(plan.paths.root)
    assert record(stored) == record(plan)
    assert stored.entry("net").given == "net.pth"


def test_changed_outputs_remake_the_images_of_their_set_alone(preset: Preset, workspace: Path, photo: Path) -> None:
    (workspace / "other").mkdir()
    shutil.copy(photo, workspace / "other" / "cat.png")
    path = preset(with_two_sets)

    def keys() -> tuple[str, ...]:
        plan = Plan.load(str(path))
        assert plan.given_key("bicubic", "other") == ""
        made = [plan.given_key("theirs", name) for name in plan.preset.test_on]
        return (*made, plan.given_key("net", "other"), plan.efficiency_key("net"))

    def changed(before: tuple[str, ...]) -> list[bool]:
        return [old != new for old, new in zip(before, keys(), strict=True)]

    absent = keys()
    for name in ("photos_test", "other"):
        (workspace / "outputs" / name).mkdir(parents=True)
    assert changed(absent)[2:] == [False, False]
    before = keys()
    file = shutil.copy(photo, workspace / "outputs" / "other" / "cat.png")
    assert changed(before) == [False, True, False, False]
    before = keys()
    os.utime(file, ns=(1, 1))
    assert changed(before) == [False, True, False, False]
    before = keys()
    (workspace / "net.pth").write_bytes(b"weights")
    assert changed(before) == [False, False, True, True]
    before = keys()
    shutil.copy(photo, workspace / "outputs" / "photos_test" / "x.png")
    assert changed(before) == [True, False, False, False]


def test_where_the_outputs_of_a_test_set_lie(workspace: Path) -> None:
    for folder in ("flat", "sets/a", "by/a/x4"):
        Path(folder).mkdir(parents=True)
    assert outputs_folder("by/{testset}/x4", "a", alone=False) == Path("by/a/x4")
    assert outputs_folder("sets", "a", alone=False) == Path("sets/a")
    assert outputs_folder("sets", "a", alone=True) == Path("sets/a")
    assert outputs_folder("flat", "a", alone=True) == Path("flat")
    for given, alone, wanted in (("flat", False, "flat/a"), ("by/{testset}", False, "by/b"), ("none", True, "none")):
        with pytest.raises(UserError, match=rf"^{wanted}: no such folder; put the outputs of"):
            outputs_folder(given, "b" if "{" in given else "a", alone=alone)


@pytest.fixture
def made(preset: Preset, workspace: Path, tvqsr: Command) -> tuple[Plan, Path]:
    """A plan with an entry of given outputs, and these: bicubic's images of the tiny preset's test set."""
    torch.save(rrdb_weights(), "net.pth")
    net = {"method": "spandrel", "given": "net.pth", "title": "ESRGAN"}
    plan = Plan.load(str(preset(entries(theirs=OUTPUTS, net=net))))
    write_json(plan.paths.record, record(plan))
    root = plan.paths.root
    for words in (("prepare", root, "photos_test"), ("upscale-entry", root, "bicubic", "photos_test")):
        assert tvqsr(*words).returncode == 0
    outputs = workspace / "outputs"
    outputs.mkdir()
    for file in plan.paths.images("bicubic", 0, "photos_test").glob("*.png"):
        shutil.copy(file, outputs)
    return plan, outputs


def test_outputs_are_copied_pixel_by_pixel_and_told(made: tuple[Plan, Path], tvqsr: Command) -> None:
    plan, outputs = made
    Image.open(outputs / "coins.png").save(outputs / "coins.bmp")
    (outputs / "coins.png").rename(outputs / "kept_from_before.png")
    (outputs / "rocket.png").rename(outputs / "rocketx4.png")
    (outputs / "notes.txt").write_text("not an image")
    result = tvqsr("upscale-entry", plan.paths.root, "theirs", "photos_test")
    assert result.returncode == 0, result.stderr
    assert "1 images are of no test photo and left out: kept_from_before.png" in result.stderr
    folder = plan.paths.images("theirs", 0, "photos_test")
    told = json.loads((folder / "run.json").read_text())
    theirs = plan.paths.images("bicubic", 0, "photos_test")
    assert {file.stem for file in folder.glob("*.png")} == {file.stem for file in theirs.glob("*.png")}
    for file in theirs.glob("*.png"):
        assert (read_image(folder / file.name) == read_image(file)).all()
        image = told["images"][file.stem]
        source = outputs / {"coins": "coins.bmp", "rocket": "rocketx4.png"}.get(file.stem, file.name)
        assert (image["source"], image["source_sha256"]) == (source.name, sha256(source))
        assert image["sha256"] == sha256(folder / file.name)
        assert image["seconds"] is None
    assert told["given"] == {"kind": "images", "path": "outputs", "left_out": ["kept_from_before.png"]}
    assert told["parameters"] is None


def resaved(path: Path, mode: str = "RGB", **how: Any) -> None:
    image = Image.open(path).convert(mode)
    image.save(how.pop("to", path), **how)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "outputs: has no output `coins.png`"),
    "other name": (
        lambda path: path.rename(path.with_name("coins_net.png")),
        "(is it coins_net.png?); every test image",
    ),
    "twice": (lambda path: resaved(path, to=path.with_suffix(".bmp")), "same name as coins.bmp"),
    "twice with x4": (lambda path: shutil.copy(path, path.with_name("coinsx4.png")), "the same photo as coins.png"),
    "other size": (lambda path: Image.open(path).crop((0, 0, 96, 80)).save(path), "coins.png: is 96 x 80, but "),
    "jpeg": (lambda path: resaved(path, format="JPEG"), "coins.png: is JPEG; outputs are PNG or BMP"),
    "grey": (lambda path: resaved(path, "L"), "coins.png: colour mode L; outputs are 8-bit RGB"),
    "transparent": (lambda path: resaved(path, "RGBA"), "coins.png: colour mode RGBA"),
    "16 bits": (lambda path: Image.new("I;16", (8, 8)).save(path), "coins.png: has more than 8 bits per sample"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:500]), "coins.png: damaged or truncated"),
    "no folder": (
        lambda path: path.parent.rename("moved"),
        "outputs: no such folder; put the outputs of photos_test there",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_outputs_are_refused_in_one_line(made: tuple[Plan, Path], tvqsr: Command, kind: str) -> None:
    plan, outputs = made
    spoil, message = WRONG[kind]
    spoil(outputs / "coins.png")
    result = tvqsr("upscale-entry", plan.paths.root, "theirs", "photos_test")
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not plan.paths.images_record("theirs", 0, "photos_test").exists()


def test_tables_costs_and_page_tell_what_was_given(
    made: tuple[Plan, Path], tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tvqsr.efficiency import cost

    monkeypatch.setattr(cost, "SECONDS", 0.0)
    plan, outputs = made
    shutil.copy(outputs / "coins.png", outputs / "unused.png")
    costly = plan.preset.model_copy(update={"efficiency": True})
    plan = Plan(plan.name, costly, plan.entries, plan.paths)
    write_json(plan.paths.record, record(plan))
    root = plan.paths.root
    steps: list[tuple[object, ...]] = [("upscale-entry", root, name, "photos_test") for name in ("theirs", "net")]
    steps += [("score-entry", root, name, "photos_test") for name in plan.entries]
    steps += [("measure-entry", root, name) for name in plan.entries]
    steps += [("table", root, "main"), ("efficiency-table", root), *(("figure", root, name) for name in plan.figures)]
    for words in [*steps, ("claims", root), ("report", root)]:
        result = tvqsr(*words)
        assert result.returncode == 0, (words, result.stderr)
    scores = [pd.read_parquet(plan.paths.scores(name, 0, "photos_test")) for name in ("bicubic", "theirs", "net")]
    bicubic, theirs, net = (rows[rows.protocol == "psnr_y"].value.tolist() for rows in scores)
    assert bicubic == theirs
    assert len(bicubic) == 5
    assert max(net) < min(bicubic)
    table = plan.paths.table("main", "photos_test", "md").read_text()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in table.splitlines() if line.startswith("|")}
    assert rows["Theirs (outputs given)"][2:] == rows["Bicubic"][2:]
    assert "ESRGAN (weights given)" in rows
    told = plan.paths.efficiency_table("md").read_text()
    assert "Cost is n/a: finished outputs were given, no network (Theirs (outputs given))." in told
    costs = pd.read_csv(plan.paths.efficiency_table("csv")).set_index("entry")
    parameters = sum(value.numel() for value in rrdb_weights().values())
    assert costs.loc["net", "parameters"] == parameters
    assert costs.loc["theirs"].drop(["title", "reads", "timed_images"]).isna().all()
    page = plan.paths.report.read_text()
    about = json.loads(plan.paths.images_record("net", 0, "photos_test").read_text())
    assert about["given"]["sha256"] == sha256(Path("net.pth"))
    assert (about["given"]["path"], about["parameters"]) == ("net.pth", parameters)
    for text in (
        sha256(Path("net.pth")),
        "architecture: ESRGAN",
        "spandrel 0",
        "of no test photo and left out: unused.png",
    ):
        assert text in page
    assert page.count("(outputs given)") >= 3
    verdicts = pd.read_csv(plan.paths.claims)
    assert verdicts[verdicts.claim == "spandrel.parameters"].verdict.unique().tolist() == ["not run"]


def test_given_files_may_be_absent_until_their_job(tmp_path: Path) -> None:
    planned = jobs(plan_again(tmp_path, "entries=all", preset="paper"))
    assert planned["measure"] == len(Plan.load("paper", {"entries": "all"}).entries)
    more = Plan.load("paper", {"entries": ["realesrgan", "swinir", "bicubic"]})
    assert more.test_sets("realesrgan") == ["imagenet_test", "realsr", "realset65"]
    assert more.test_sets("swinir")[0] == "div2k_valid" and "realsr" not in more.test_sets("swinir")


def test_the_workflow_scores_outputs_and_remakes_what_changed(made: tuple[Plan, Path], workspace: Path) -> None:
    """Through Snakemake: nothing is trained, and a replaced output is copied and scored again, alone."""
    path = workspace / "mine.yaml"
    target = str(Plan.load(str(path)).paths.scores("theirs", 0, "photos_test"))
    result = snakemake(workspace, target, preset=path)
    assert result.returncode == 0, result.stderr[-3000:]
    shutil.copy(workspace / "outputs" / "coins.png", workspace / "outputs" / "new.png")
    planned = jobs(plan_again(workspace, target, preset=path))
    assert (planned["upscale"], planned["score"]) == (1, 1)
    assert "prepare" not in planned
