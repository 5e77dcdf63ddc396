"""Finished results, and a copy of them to be broken."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage
import yaml
from PIL import Image

from tests.conftest import TINY
from tests.verify.breaking import change
from tvqsr.cli import main
from tvqsr.data.images import read_image
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import record


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results of two seeds of a tokenizer and its predictor on four crops, by the steps that the workflow calls."""
    folder = tmp_path_factory.mktemp("bundle")
    content = yaml.safe_load(TINY.read_text())
    cat = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")
    for name, start, count in (("train", 0, 3), ("test", 150, 4)):
        (folder / name).mkdir()
        for number in range(count):
            crop = cat[start : start + 96, 96 * number : 96 * number + 96]
            Image.fromarray(crop).save(folder / name / f"{name}{number}.png")
        content["datasets"][f"photos_{name}"] = {"folder": name}
    content |= {"seeds": [0, 1], "protocols": ["psnr_y", "ssim_y"], "more_entries": {}}
    content["entries"] = {name: content["entries"][name] for name in ("bicubic", "hr_copy", "vq", "vq_rec")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tested.yaml").write_text(yaml.safe_dump(content))
        plan = Plan.load("tested.yaml")
        root = plan.paths.root
        write_json(plan.paths.record, record(plan))
        for dataset in ("photos_train", "photos_test"):
            _run("prepare", root, dataset)
        _run("check-overlap", root, "photos_train")
        for name, seed in plan.made():
            _run("train", root, name, "--seed", seed)
        for entry in plan.entries.values():
            for seed in entry.seeds:
                _run("upscale-entry", root, entry.name, "photos_test", "--seed", seed)
                _run("score-entry", root, entry.name, "photos_test", "--seed", seed)
        _run("table", root, "main")
        _run("claims", root)
    for path in (folder / root).rglob("run.json"):
        change(path, lambda content: content["made_by"].update(git={"commit": "0" * 40, "dirty": False}))
    yield folder / root


def _run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0, words


@pytest.fixture(autouse=True)
def _same_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that the records name is this one, as where people check what they just made."""
    monkeypatch.setattr("tvqsr.verify.records.own_commit", lambda: "0" * 40)


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    """A copy to be broken, somewhere else than where it was made."""
    copy = tmp_path / "theirs"
    shutil.copytree(finished, copy)
    return copy
