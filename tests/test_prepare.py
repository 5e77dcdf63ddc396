"""Preparing data sets: LR made or given, HR absent, sets that only a person can get."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import Command
from tvqsr.data.images import read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.data.prepare import prepare
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.degradation import RandomDegradation
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.stored import record

Preset = Callable[..., Path]


def photos(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A folder of noise photos `p0`, `p1`, ... of the given (width, height)."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(sizes))
    for number, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def prepared(tmp_path: Path, **spec: Any) -> Path:
    prepare(DatasetSpec(**spec), tmp_path / "out", False, print, str(tmp_path / "by_hand"))
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


def test_lr_of_another_size_is_refused(tmp_path: Path) -> None:
    hr, lr = photos(tmp_path / "hr", (64, 48)), photos(tmp_path / "lr", (16, 13))
    with pytest.raises(UserError, match=r"LR is 16 x 13 and HR 64 x 48; HR must be 4 times as large"):
        prepared(tmp_path, folder=str(hr), lr_folder=str(lr))


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
    with pytest.raises(UserError, match=r"by_hand/realset65/LR: no such folder; RealSet65.*get it at https://github"):
        prepared(tmp_path, source="realset65")
    with pytest.raises(UserError, match=r"imagenet_train/train: no such folder.*`train_photos=DIR`"):
        prepared(tmp_path, source="imagenet_train")


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
