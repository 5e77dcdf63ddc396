"""Preparing data sets: LR made or given, HR absent, sets that only a person can get."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Command
from tests.noise import photos
from tvqsr.data.images import read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.data.prepare import prepare
from tvqsr.data.store import open_store
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.degradation import RandomDegradation
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.stored import record

Preset = Callable[..., Path]


def prepared(tmp_path: Path, **spec: Any) -> Path:
    prepare(DatasetSpec(**spec), tmp_path / "out", False, print, Places(str(tmp_path / "by_hand")))
    return tmp_path / "out"


def test_given_lr_is_kept_as_it_is(tmp_path: Path) -> None:
    hr, lr = photos(tmp_path / "hr", (64, 48), (40, 40)), photos(tmp_path / "lr", (16, 12), (10, 10))
    out = prepared(tmp_path, folder=str(hr), lr_folder=str(lr))
    for pair in read_pairs(out):
        assert np.array_equal(pair.lr(), read_image(lr / f"{pair.name}.png"))
        found = pair.hr()
        assert found is not None
        assert np.array_equal(found, read_image(hr / f"{pair.name}.png"))
    assert read_json(out / "manifest.json")["degradation"] == "as given"


@pytest.mark.parametrize("size", [(16, 13), (16, 11), (15, 12), (17, 12)])
def test_lr_of_another_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    hr, lr = photos(tmp_path / "hr", (64, 48)), photos(tmp_path / "lr", size)
    with pytest.raises(
        UserError, match=rf"lr/p0\.png: LR is {size[0]} x {size[1]} and HR 64 x 48; HR must be 4 times as large"
    ):
        prepared(tmp_path, folder=str(hr), lr_folder=str(lr))


def test_hr_that_was_shipped_whole_is_cut_to_its_lr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hr, lr = photos(tmp_path / "hr", (67, 48), (64, 51), (64, 48)), photos(tmp_path / "lr", *[(16, 12)] * 3)
    out = prepared(tmp_path, folder=str(hr), lr_folder=str(lr))
    for pair in read_pairs(out):
        found = pair.hr()
        assert found is not None
        assert np.array_equal(found, read_image(hr / f"{pair.name}.png")[:48, :64])
        assert np.array_equal(pair.lr(), read_image(lr / f"{pair.name}.png"))
    images = read_json(out / "manifest.json")["images"]
    assert [(image["cut"]["bottom"], image["cut"]["right"]) for image in images] == [(0, 3), (3, 0), (0, 0)]
    assert {(image["height"], image["width"]) for image in images} == {(48, 64)}
    assert "2 of 3 HR cut to 4 x LR" in capsys.readouterr().out


def test_what_is_cut_before_lr_is_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hr = photos(tmp_path / "hr", (71, 49), (64, 48))
    images = read_json(prepared(tmp_path, folder=str(hr), multiple=8) / "manifest.json")["images"]
    assert [image["cut"] for image in images] == [{"bottom": 1, "right": 7}, {"bottom": 0, "right": 0}]
    assert "1 of 2 HR cut to multiples of 8" in capsys.readouterr().out


def test_a_damaged_photo_is_named_and_no_manifest_written(tmp_path: Path) -> None:
    hr = photos(tmp_path / "hr", (64, 48), (64, 48))
    (hr / "p1.png").write_bytes((hr / "p1.png").read_bytes()[:3000])
    for for_training in (False, True):
        with pytest.raises(UserError, match=r"hr/p1\.png: damaged or truncated image"):
            prepare(DatasetSpec(folder=str(hr)), tmp_path / "out", for_training, print)
        assert not (tmp_path / "out" / "manifest.json").exists()
        assert not (tmp_path / "out" / "hr.u8").exists()


def test_nothing_of_an_earlier_preparation_stays(tmp_path: Path) -> None:
    """The other role, other photos: only what the last preparation made is there."""
    many, one = photos(tmp_path / "many", (64, 48), (64, 48)), photos(tmp_path / "one", (40, 40))
    prepare(DatasetSpec(folder=str(one)), tmp_path / "alone", False, print)
    prepare(DatasetSpec(folder=str(many)), tmp_path / "out", True, print)
    prepare(DatasetSpec(folder=str(many)), tmp_path / "out", False, print)
    prepare(DatasetSpec(folder=str(one)), tmp_path / "out", False, print)
    listings = [
        sorted(p.relative_to(folder) for p in folder.rglob("*")) for folder in (tmp_path / "out", tmp_path / "alone")
    ]
    assert listings[0] == listings[1]


def test_photos_that_are_missing_cost_nothing_that_was_prepared(tmp_path: Path) -> None:
    hr = photos(tmp_path / "hr", (64, 48))
    out = prepared(tmp_path, folder=str(hr))
    hr.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="no such folder"):
        prepared(tmp_path, folder=str(hr))
    assert [pair.name for pair in read_pairs(out)] == ["p0"]


def test_a_photo_without_partner_is_named(tmp_path: Path) -> None:
    hr, lr = photos(tmp_path / "hr", (64, 48), (64, 48)), photos(tmp_path / "lr", (16, 12))
    with pytest.raises(UserError, match=r"p1\.png: has no partner of that name in .*lr"):
        prepared(tmp_path, folder=str(hr), lr_folder=str(lr))
    (hr / "p1.png").rename(lr / "p1.png")
    with pytest.raises(UserError, match=r"p1\.png: has no partner of that name in .*hr"):
        prepared(tmp_path, folder=str(hr), lr_folder=str(lr))


def test_lr_named_as_in_public_sets_finds_its_partner(tmp_path: Path) -> None:
    hr, lr = photos(tmp_path / "hr", (64, 48)), photos(tmp_path / "lr", (16, 12))
    (lr / "p0.png").rename(lr / "p0x4.png")
    (pair,) = read_pairs(prepared(tmp_path, folder=str(hr), lr_folder=str(lr)))
    assert pair.name == "p0"
    assert np.array_equal(pair.lr(), read_image(lr / "p0x4.png"))


def test_photos_in_folders_keep_apart(tmp_path: Path) -> None:
    photos(tmp_path / "set" / "a", (64, 48))
    photos(tmp_path / "set" / "b", (40, 40))
    names = [pair.name for pair in read_pairs(prepared(tmp_path, folder=str(tmp_path / "set")))]
    assert names == ["a__p0", "b__p0"]


@pytest.mark.parametrize("degradation", get_args(RandomDegradation))
def test_a_test_degradation_is_the_same_every_time(tmp_path: Path, degradation: str) -> None:
    hr = photos(tmp_path / "hr", (64, 48), (64, 48))
    out = prepared(tmp_path, folder=str(hr), degradation=degradation)
    first = {pair.name: pair.lr() for pair in read_pairs(out)}
    bicubic = {pair.name: pair.lr() for pair in read_pairs(prepared(tmp_path, folder=str(hr)))}
    again = {p.name: p.lr() for p in read_pairs(prepared(tmp_path, folder=str(hr), degradation=degradation))}
    for name, lr in first.items():
        assert lr.shape == (12, 16, 3)
        assert np.array_equal(lr, again[name])
        assert not np.array_equal(lr, bicubic[name])


def test_lr_of_a_photo_is_the_same_in_every_set(tmp_path: Path) -> None:
    """Two photos of equal pixels are degraded differently, since their names differ; left alone, each stays itself."""
    hr = tmp_path / "hr"
    photos(hr, (64, 48), (64, 48))
    shutil.copy(hr / "p0.png", hr / "p1.png")
    both = {pair.name: pair.lr() for pair in read_pairs(prepared(tmp_path, folder=str(hr), degradation="bsrgan"))}
    assert not np.array_equal(both["p0"], both["p1"])
    (hr / "p0.png").unlink()
    (alone,) = read_pairs(prepared(tmp_path, folder=str(hr), degradation="bsrgan"))
    assert np.array_equal(alone.lr(), both["p1"])


def test_a_set_got_by_hand_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"by_hand/manga109/HR: no photos there; Manga109.*get it at http"):
        prepared(tmp_path, source="manga109")
    photos(tmp_path / "by_hand" / "drealsr" / "HR", (16, 16))
    with pytest.raises(UserError, match=r"^\S*by_hand/drealsr/LR: no photos there; DRealSR"):
        prepared(tmp_path, source="drealsr")


def test_a_set_got_by_hand_is_used_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(tmp_path / "by_hand" / "realset65" / "LR", (16, 12))
    (pair,) = read_pairs(prepared(tmp_path, source="realset65"))
    assert pair.hr() is None
    assert "1 photos found, 65 expected" in capsys.readouterr().out


def test_a_set_without_hr_cannot_be_trained_on(tmp_path: Path) -> None:
    lr = photos(tmp_path / "lr", (16, 12))
    with pytest.raises(UserError, match="has no HR and cannot be trained on"):
        prepare(DatasetSpec(lr_folder=str(lr)), tmp_path / "out", True, print)


@pytest.fixture
def real_photos(preset: Preset, tmp_path: Path) -> Plan:
    """Controls on a set with HR and on one without, each with protocols of its own."""
    lr = photos(tmp_path / "lr", (32, 24), (24, 24))

    def change(content: dict[str, Any]) -> None:
        content["entries"] = {name: {"method": name} for name in ("bicubic", "nearest", "hr_copy")}
        content["methods"] = {}
        content["datasets"]["real"] = {"lr_folder": str(lr), "protocols": ["psnr_y", "musiq"]}
        content["test_on"] = ["photos_test", "real"]
        content["efficiency"] = True
        content["tables"] = {"pair": {"title": "Two", "entries": ["nearest", "bicubic"]}}

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    return plan


def test_photos_without_hr_go_all_the_way(real_photos: Plan, tvqsr: Command) -> None:
    plan = real_photos
    root = plan.paths.root
    steps: list[tuple[object, ...]] = [("prepare", root, name) for name in ("photos_test", "real")]
    for entry in plan.entries:
        for testset in plan.test_sets(entry):
            steps += [("upscale-entry", root, entry, testset), ("score-entry", root, entry, testset)]
    steps += [("table", root, name) for name in plan.tables]
    steps += [("measure-entry", root, entry) for entry in plan.entries]
    steps += [("efficiency-table", root), *(("figure", root, name) for name in plan.figures), ("claims", root)]
    steps += [("report", root), ("publish", root, plan.paths.root.parent / "small")]
    for step in steps:
        result = tvqsr(*step)
        assert result.returncode == 0, result.stderr
    assert plan.test_sets("hr_copy") == ["photos_test"]
    scores = pd.read_parquet(plan.paths.scores("bicubic", 0, "real"))
    assert scores.value.isna().all()
    assert scores[scores.protocol == "psnr_y"].reason.str.contains("no HR").all()
    assert scores[scores.protocol == "musiq"].reason.str.contains("weights absent").all()
    text = plan.paths.table("main", "real", "md").read_text()
    assert "Bicubic" in text
    assert "MUSIQ is n/a: weights absent" in text
    page = plan.paths.report.read_text()
    assert 'id="costs"' in page
    assert "real: 2 photos" in page
    assert (plan.paths.root.parent / "small" / "tables" / "efficiency.md").is_file()
    pair = plan.paths.table("pair", "photos_test", "md").read_text()
    assert pair.startswith("Two; photos_test")
    assert pair.index("Nearest") < pair.index("Bicubic")


def test_figures_need_hr_in_the_first_test_set(preset: Preset, tmp_path: Path) -> None:
    lr = photos(tmp_path / "lr", (32, 24))

    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"lr_folder": str(lr)}

    with pytest.raises(UserError, match="`photos_test` has no HR and cannot be the first"):
        Plan.load(str(preset(change)))


def test_training_on_given_pairs_reads_their_own_lr(tmp_path: Path) -> None:
    """LR here is nothing that could be made of HR: noise."""
    hr, lr = photos(tmp_path / "hr", (64, 50)), photos(tmp_path / "lr", (16, 12))
    prepare(DatasetSpec(folder=str(hr), lr_folder=str(lr)), tmp_path / "out", True, print)
    (photo,), scale = open_store(tmp_path / "out")
    assert scale == 4
    assert photo.pixels is not None
    assert np.array_equal(photo.pixels[0], read_image(hr / "p0.png")[:48])
    assert np.array_equal(photo.pixels[1], read_image(lr / "p0.png"))


def test_given_lr_is_not_silently_left_out_of_a_training(preset: Callable[..., Path]) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_train"] = {"folder": "a", "lr_folder": "b", "store": "files"}

    with pytest.raises(UserError, match="with `store: files` given LR is not read"):
        Plan.load(str(preset(change)))
