"""Scoring an entry's images: which protocols and which crop each test set gets, and what the rows say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Command
from tests.scoring import score_of
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.protocols import ABSENT
from tvqsr.plan.stored import record
from tvqsr.report.scores import summarise
from tvqsr.score.job import device
from tvqsr.score.picture import cropped

Preset = Callable[..., Path]


@pytest.fixture
def two_sets(preset: Preset, photo: Path, tmp_path: Path) -> Path:
    """A preset with two test sets of one photo, of which the second has its own crop and protocols."""
    for name in ("mild", "real"):
        (tmp_path / name).mkdir()
        (tmp_path / name / photo.name).write_bytes(photo.read_bytes() + b"\0" * (name == "real"))

    def change(content: dict[str, Any]) -> None:
        content["datasets"]["mild"] = {"folder": str(tmp_path / "mild")}
        content["datasets"]["real"] = {"folder": str(tmp_path / "real"), "crop": 0, "protocols": ["psnr_y", "niqe"]}
        content.update(test_on=["mild", "real"], protocols=["psnr_y", "psnr_rgb"], crop=7)
        content["entries"] = {"bicubic": {"method": "bicubic"}}

    return preset(change)


def test_a_test_set_may_state_its_own_crop_and_protocols(two_sets: Path) -> None:
    plan = Plan.load(str(two_sets))
    assert (plan.crop_on("mild"), plan.crop_on("real")) == (7, 0)
    assert plan.protocols_on("mild") == ("psnr_y", "psnr_rgb")
    assert plan.protocols_on("real") == ("psnr_y", "niqe")


def test_rows_follow_the_test_set(two_sets: Path, tvqsr: Command, torch_home: Path) -> None:
    plan = Plan.load(str(two_sets))
    assert tvqsr("record", "--preset", two_sets).returncode == 0
    tables = {}
    for testset, crop in (("mild", 7), ("real", 0)):
        for words in (("prepare", plan.paths.root, testset), ("upscale-entry", plan.paths.root, "bicubic", testset)):
            assert tvqsr(*words).returncode == 0
        result = tvqsr("score-entry", plan.paths.root, "bicubic", testset)
        assert result.returncode == 0, result.stderr
        rows = pd.read_parquet(plan.paths.scores("bicubic", 0, testset))
        sr, hr = (
            cropped(read_image(folder / "cat.png"), crop)
            for folder in (plan.paths.images("bicubic", 0, testset), plan.paths.dataset(testset) / "HR")
        )
        psnr = rows[rows.protocol == "psnr_y"].iloc[0]
        assert (psnr.value, psnr.crop) == (pytest.approx(score_of("psnr_y", sr, hr)), crop)
        tables[testset] = summarise(rows).set_index("protocol")
    assert list(tables["mild"].index) == ["psnr_y", "psnr_rgb"]
    assert list(tables["real"].index) == ["psnr_y", "niqe"]
    niqe = tables["real"].reset_index().iloc[1]
    assert math.isnan(niqe["mean"])
    assert str(niqe.reason).startswith("weights absent: pyiqa's copy of NIQE's parameters")
    assert not niqe.higher_is_better


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"protocols": ["nique"]}, r"datasets\.photos_test\.protocols: unknown protocol `nique`; did you mean `niqe`"),
        ({"protocols": ["niqe", "niqe"]}, r"datasets\.photos_test\.protocols: each may be given once"),
        ({"protocols": []}, r"datasets\.photos_test\.protocols: at least one expected"),
        ({"crop": -1}, r"datasets\.photos_test\.crop"),
    ],
)
def test_a_wrong_crop_or_protocol_of_a_test_set_is_named(preset: Preset, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Plan.load(str(preset(lambda p: p["datasets"]["photos_test"].update(given))))


def test_without_gpus_networks_stay_on_the_cpu() -> None:
    assert device(gpus=False) == "cpu"
    assert device(gpus=True) in ("cpu", "cuda")


def test_a_download_that_fails_where_downloads_are_allowed_fails_the_job(
    preset: Callable[..., Path], tvqsr: Command, monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content |= {"entries": {"bicubic": {"method": "bicubic"}}, "methods": {}, "downloads": True}
        content["protocols"] = ["lpips_alex"]

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    monkeypatch.setenv("TORCH_HOME", str(workspace / "empty"))
    monkeypatch.setattr("tvqsr.score.ready.fetch", lambda _: f"{ABSENT}: nothing is reached")
    for step in (("prepare", "photos_test"), ("upscale-entry", "bicubic", "photos_test")):
        assert tvqsr(step[0], plan.paths.root, *step[1:]).returncode == 0
    result = tvqsr("score-entry", plan.paths.root, "bicubic", "photos_test")
    assert result.returncode == 2
    assert "nothing is reached; or go without it: `--config downloads=false`" in result.stderr
    assert not plan.paths.scores("bicubic", 0, "photos_test").exists()
