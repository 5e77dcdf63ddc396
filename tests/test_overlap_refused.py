"""A training photo that is a test photo stops what is trained on it, unless that is allowed by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from tests.conftest import Command
from tests.test_workflow import jobs, snakemake
from tvqsr.data import apart
from tvqsr.data.apart import check_overlap, refuse_shared, told
from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.images import read_image
from tvqsr.data.overlap import find_shared, prepared_photos, sign
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import record

Preset = Callable[..., Path]
EMBEDDED = Path(skimage.__file__).parent / "data"


def sharing(content: dict[str, Any], folder: Path, **spec: Any) -> None:
    """Folders of photos to train on and to test on; one of the first is in the second, too, smaller and as JPEG."""
    training, testing = folder / "train", folder / "test"
    if not training.is_dir():
        for place, names in ((training, ("coffee.png", "clock_motion.png", "ihc.png")), (testing, ("coins.png",))):
            place.mkdir()
            for name in names:
                shutil.copy(EMBEDDED / name, place / name)
        with Image.open(EMBEDDED / "coffee.png") as image:
            image.resize((300, 200)).save(testing / "cup.jpg", quality=60)
    content["datasets"] = {
        "photos_train": {"folder": str(training)} | spec,
        "photos_test": {"folder": str(testing)},
    }


def planned(preset: Preset, workspace: Path, **spec: Any) -> Plan:
    plan = Plan.load(str(preset(lambda content: sharing(content, workspace, **spec))))
    write_json(plan.paths.record, record(plan))
    return plan


REFUSED = (
    r"overlap\.json: 1 photo of `photos_train` in test sets: `coffee` is `cup` of photos_test; remove .*"
    r"`datasets: \{photos_train: \{may_share: \[photos_test\]\}\}`"
)


@pytest.mark.parametrize("store", ["pixels", "files"])
def test_a_shared_photo_stops_what_is_trained_and_what_is_made_with_it(
    preset: Preset, workspace: Path, tvqsr: Command, store: str
) -> None:
    plan = planned(preset, workspace, store=store)
    root, run = plan.paths.root, next(iter(plan.runs))
    for dataset in ("photos_train", "photos_test"):
        assert tvqsr("prepare", root, dataset).returncode == 0
    assert "not compared with the test sets" in tvqsr("upscale-entry", root, "vq_rec", "photos_test").stderr
    result = tvqsr("check-overlap", root, "photos_train", "--threads", 1)
    assert result.returncode == 0, result.stderr
    assert "1 of 3 photos are in photos_test (2)" in result.stderr
    steps = (("train", root, run), ("upscale-entry", root, "vq_rec", "photos_test"), ("report", root))
    for step in steps:
        result = tvqsr(*step)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        with pytest.raises(UserError, match=REFUSED):
            raise UserError(result.stderr)
    assert not plan.paths.run(run, 0).exists()
    # Nothing was trained for a control.
    assert tvqsr("upscale-entry", root, "bicubic", "photos_test").returncode == 0


def test_a_photo_may_be_shared_by_name(preset: Preset, workspace: Path, tvqsr: Command) -> None:
    plan = planned(preset, workspace, may_share=["photos_test"])
    for dataset in ("photos_train", "photos_test"):
        tvqsr("prepare", plan.paths.root, dataset)
    check_overlap(plan, "photos_train", 1, print)
    refuse_shared(plan, "photos_train")
    assert told(plan) == ["1 photo of photos_train in photos_test: allowed by the preset."]
    found = read_json(plan.paths.overlap("photos_train"))
    assert "crops" in found["blind_to"]
    (pair,) = found["test_sets"]["photos_test"]["shared"]
    assert (pair["training"], pair["test"], pair["same_file"]) == ("coffee", "cup", False)


def test_another_test_photo_is_compared_without_reading_training_photos_again(
    preset: Preset, workspace: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(preset, workspace, store="files")
    (workspace / "test" / "cup.jpg").unlink()
    for dataset in ("photos_train", "photos_test"):
        tvqsr("prepare", plan.paths.root, dataset)
    check_overlap(plan, "photos_train", 1, print)
    refuse_shared(plan, "photos_train")
    assert told(plan)[0].startswith("None of the 3 photos of photos_train is in photos_test, by its file or by its")

    def sign_no_more(*_: object) -> None:
        raise AssertionError("training photos are read again")

    monkeypatch.setattr(apart, "sign", sign_no_more)
    shutil.copy(EMBEDDED / "ihc.png", workspace / "test" / "cells.png")
    tvqsr("prepare", plan.paths.root, "photos_test")
    check_overlap(plan, "photos_train", 1, print)
    with pytest.raises(UserError, match="`ihc` is `cells` of photos_test"):
        refuse_shared(plan, "photos_train")

    # A training photo that changes is looked at again, though the list of files is as it was.
    monkeypatch.setattr(apart, "sign", sign)
    shutil.copy(EMBEDDED / "coins.png", workspace / "train" / "ihc.png")
    check_overlap(plan, "photos_train", 1, print)
    with pytest.raises(UserError, match="`ihc` is `coins` of photos_test"):
        refuse_shared(plan, "photos_train")
    assert len(list(plan.paths.dataset("photos_train").glob("signatures.*.npy"))) == 1


def test_a_test_set_without_hr_is_compared_by_its_lr(preset: Preset, workspace: Path, tvqsr: Command) -> None:
    lr = workspace / "lr"
    lr.mkdir()
    Image.fromarray(downscale(mod_crop(read_image(EMBEDDED / "coffee.png"), 4), 4)).save(lr / "small.png")

    def change(content: dict[str, Any]) -> None:
        sharing(content, workspace)
        content["datasets"]["real"] = {"lr_folder": str(lr), "protocols": ["niqe"]}
        content["test_on"] = ["photos_test", "real"]

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    for dataset in ("photos_train", "real"):
        assert tvqsr("prepare", plan.paths.root, dataset).returncode == 0
    training, real = (prepared_photos(plan.paths.dataset(name)) for name in ("photos_train", "real"))
    found, _ = find_shared(training, sign(training, 2, print), real, 2)
    assert [(pair.training, pair.test) for pair in found] == [("coffee", "small")]


def test_the_workflow_stops_before_training(preset: Preset, workspace: Path) -> None:
    path = preset(lambda content: sharing(content, workspace))
    results = workspace / "results" / "mine"
    result = snakemake(workspace, "main_table", "entries=[vq_rec]", preset=path)
    assert result.returncode != 0
    with pytest.raises(UserError, match=REFUSED):
        raise UserError(result.stdout + result.stderr)
    assert read_json(results / "data" / "photos_train" / "overlap.json")["photos"] == 3
    assert not list(results.glob("runs/*/seed0/state"))
    allowed = preset(lambda content: sharing(content, workspace, may_share=["photos_test"]))
    again = jobs(snakemake(workspace, "-n", "main_table", "entries=[vq_rec]", preset=allowed).stdout)
    assert again["train"] == 1
    assert not {"prepare", "check_overlap"} & set(again)


def test_nothing_trained_is_nothing_compared(workspace: Path) -> None:
    result = snakemake(workspace, "-n", "entries=[bicubic]")
    assert "check_overlap" not in jobs(result.stdout + result.stderr)


def test_a_set_is_kept_apart_from_those_that_it_is_tested_on() -> None:
    plan = Plan.load("paper", {"entries": "all"})
    tracks = {track: set(sets) for track, sets in plan.preset.tracks.items()}
    assert set(plan.kept_apart("imagenet_train")) == tracks["realesrgan"]
    assert set(plan.kept_apart("df2k")) == tracks["bicubic"] | tracks["bsrgan"]
    assert plan.training_sets_of("bicubic") == []


@pytest.mark.parametrize(
    ("dataset", "allowed", "message"),
    [
        (
            "photos_train",
            "photo_test",
            r"photos_train\.may_share: `photo_test` is not in `test_on`; did you mean `photos_t",
        ),
        ("photos_train", "photos_train", r"photos_train\.may_share: `photos_train` is not in `test_on`"),
        ("photos_test", "photos_test", r"photos_test\.may_share: is for training sets, and nothing is trained on"),
    ],
)
def test_what_may_not_be_shared_is_named(preset: Preset, dataset: str, allowed: str, message: str) -> None:
    path = preset(lambda content: content["datasets"][dataset].update(may_share=[allowed]))
    with pytest.raises(UserError, match=message):
        Plan.load(str(path))


def test_places_may_be_shared_by_name_and_nothing_is_made_anew_for_it(preset: Preset, workspace: Path) -> None:
    def nested(content: dict[str, Any], **spec: Any) -> None:
        sharing(content, workspace)
        content["datasets"]["photos_train"] = {"folder": str(workspace / "train")} | spec
        content["datasets"]["photos_test"] = {"folder": str(workspace / "train" / "part")}
        (workspace / "train" / "part").mkdir(exist_ok=True)
        shutil.copy(EMBEDDED / "coins.png", workspace / "train" / "part" / "coins.png")

    with pytest.raises(UserError, match=r"`photos_test` .* lies in .*may_share: \[photos_test\]` allows it"):
        Plan.load(str(preset(nested)))
    inside = Plan.load(str(preset(lambda content: nested(content, may_share=["photos_test"]))))
    apart_from = Plan.load(str(preset(lambda content: sharing(content, workspace))))
    together = Plan.load(str(preset(lambda content: sharing(content, workspace, may_share=["photos_test"]))))
    assert inside.kept_apart("photos_train") == ["photos_test"]
    assert list(together.runs) == list(apart_from.runs)
    assert together.prepare_key("photos_train") == apart_from.prepare_key("photos_train")
    assert together.page_key() != apart_from.page_key()


def test_folders_are_compared_by_hand(workspace: Path, tvqsr: Command, tvqsr_alone: Command) -> None:
    sharing({}, workspace)
    result = tvqsr_alone("overlap", "train", "test")
    assert result.returncode == 1
    assert [word for word in ("coffee", "cup", "0.99") if word not in result.stdout] == []
    assert "1 of 3 photos of train are in test (2); not seen are crops" in result.stderr
    (workspace / "test" / "cup.jpg").unlink()
    result = tvqsr("overlap", "train", "test")
    assert (result.returncode, result.stdout) == (0, "")
    result = tvqsr("overlap", "train", "nowhere")
    assert (result.returncode, result.stderr) == (2, "tvqsr: error: nowhere: no such folder\n")
