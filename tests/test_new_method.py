"""A method of the user's own: written by `new-method`, packaged, installed, and scored by the whole graph of jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT, Command
from tests.test_workflow import snakemake
from tvqsr.new_method import BASELINES, PROJECT, TEMPLATE, new_method
from tvqsr.plan.method import read_method
from tvqsr.plugins import load_plugin
from tvqsr.testing.suite import check_method

Preset = Callable[..., Path]


def test_it_is_the_template_under_another_name(tmp_path: Path) -> None:
    folder = new_method("my_idea", tmp_path)
    assert folder == tmp_path / "my_idea"
    assert sorted(path.name for path in folder.iterdir()) == [
        "claims.yaml",
        "method.yaml",
        "plugin.py",
        "test_my_idea.py",
    ]
    method = read_method(folder)
    assert (method.name, method.spec.title) == ("my_idea", "My idea")
    assert not [path for path in folder.iterdir() if re.search("small.?vq", path.read_text(), re.IGNORECASE)]
    assert len((folder / "plugin.py").read_text().splitlines()) < 150
    load_plugin(method)


@pytest.mark.slow
def test_its_own_test_notices_a_mistake(tmp_path: Path) -> None:
    folder = new_method("my_idea", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    plugin = folder / "plugin.py"
    plugin.write_text(plugin.read_text().replace("multiple = 2", "multiple = 1"))
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert "FAILED   shapes" in result.stdout
    assert "1 failed, 1 passed" in result.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_idea", "starts with a small letter"),
        ("../up", "starts with a small letter"),
        ("2fast", "starts with a small letter"),
        ("class", "word of Python's own"),
        ("vq", "there is a method of that name"),
        ("taken", "is there already"),
    ],
)
def test_names_that_will_not_do_are_refused(name: str, message: str, tvqsr: Command, workspace: Path) -> None:
    (workspace / "taken").mkdir()
    result = tvqsr("new-method", name, "--at", workspace)
    assert result.returncode == 2
    assert message in result.stderr
    assert [path.name for path in workspace.iterdir()] == ["taken"]


def test_a_package_may_not_have_the_name_of_another(tvqsr: Command, workspace: Path) -> None:
    result = tvqsr("new-method", "numpy", "--package")
    assert result.returncode == 2
    assert "installed Python package of that name" in result.stderr
    assert not list(workspace.iterdir())


def test_without_a_place_it_goes_where_the_suite_finds_it(tvqsr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BASELINES == ROOT / "baselines"
    monkeypatch.setattr("tvqsr.new_method.BASELINES", Path("nowhere"))
    result = tvqsr("new-method", "my_idea")
    assert result.returncode == 2
    assert "this is no checkout; give --package, or --at FOLDER" in result.stderr


def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    build(ROOT, tmp_path)
    names = set(zip_names(next(tmp_path.glob("*.whl"))))
    templates = [path for room in (TEMPLATE, PROJECT) for path in room.iterdir() if path.is_file()]
    assert len(templates) >= 5
    assert {str(path.relative_to(ROOT)) for path in templates} <= names


def zip_names(wheel: Path) -> list[str]:
    import zipfile

    with zipfile.ZipFile(wheel) as content:
        return content.namelist()


def build(project: Path, target: Path) -> None:
    """Build a project's wheel with the hatchling that is here: nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


@pytest.mark.slow
def test_an_installed_package_takes_part_from_preset_to_table(tvqsr: Command, workspace: Path, preset: Preset) -> None:
    result = tvqsr("new-method", "my_idea", "--package")
    assert result.returncode == 0, result.stderr
    build(workspace / "my_idea", workspace / "dist")
    site, wheel = workspace / "site", next((workspace / "dist").glob("tvqsr_my_idea-*.whl"))
    uv = shutil.which("uv")
    assert uv, "uv is what README's set-up installs"
    install = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True)
    shutil.rmtree(workspace / "my_idea")

    def change(content: dict[str, Any]) -> None:
        content["methods"] = {}
        content["protocols"] = ["psnr_y"]
        content["entries"] = {"bicubic": {"method": "bicubic"}, "my_idea": {"method": "my_idea"}}

    path = preset(change)
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = snakemake(workspace, "main_table", "claims", preset=path, PYTHONPATH=paths)
    assert done.returncode == 0, done.stderr[-3000:]
    root = workspace / "results" / "mine"
    table = pd.read_csv(root / "tables" / "main.photos_test.csv")
    scores = pd.read_parquet(root / "scores" / "my_idea" / "seed0" / "photos_test.parquet")
    assert set(table.entry) == {"bicubic", "my_idea"}
    assert scores.value.notna().all()
    assert len(scores) == 5
    claims = pd.read_csv(root / "claims.csv")
    assert list(claims.claim[claims.method == "my_idea"]) == ["my_idea.bicubic_psnr"]
    assert claims.verdict[0] == "ordering reversed"
    assert yaml.safe_load((root / "plan.json").read_text())["entries"]["my_idea"]["run"].startswith(
        "my_idea.predictor-"
    )


def test_a_bare_folder_is_checked_where_it_lies(tvqsr: Command, workspace: Path) -> None:
    folder = new_method("my_idea", workspace)
    for path in (folder, f"./{folder.name}"):
        result = tvqsr("check-method", path, "--only", "stages")
        assert result.returncode == 0, result.stderr
        assert [line.split()[:2] for line in result.stdout.splitlines()] == [["ok", "description"], ["ok", "stages"]]
    assert not [path for path in folder.rglob("*") if path.is_dir() and path.name != "__pycache__"]


def test_a_namesake_elsewhere_is_not_mistaken_for_it(workspace: Path) -> None:
    one, two = new_method("my_idea", workspace / "one"), new_method("my_idea", workspace / "two")
    plugin = two / "plugin.py"
    plugin.write_text(plugin.read_text().replace("multiple = 8", "multiple = 16"))
    plugins: list[Any] = [load_plugin(read_method(folder)) for folder in (one, two, one)]
    multiples = [plugin.Reconstruction.multiple for plugin in plugins]
    assert multiples == [8, 16, 8]


def test_check_method_tells_machines_too(tvqsr: Command, workspace: Path) -> None:
    folder = new_method("my_idea", workspace)
    text = (folder / "method.yaml").read_text()
    (folder / "method.yaml").write_text(text.replace("needs: [tokenizer]", "needs: [tokenizr]"))
    result = tvqsr("check-method", folder, "--only", "stages", "--json")
    assert result.returncode == 2
    told = yaml.safe_load(result.stdout)
    assert [(check["check"], check["status"]) for check in told] == [("description", "failed"), ("stages", "skipped")]
    assert "did you mean `tokenizer`?" in told[0]["detail"]
    assert "failed description" in result.stderr


def test_unknown_names_are_told(tvqsr: Command) -> None:
    for words, message in (
        (("check-method", "vqq"), "unknown method `vqq`; did you mean `vq`?"),
        (("check-method", "vq", "--only", "shape"), "unknown check `shape`; did you mean `shapes`?"),
        (("check-method", "./nowhere"), "nowhere: no method.yaml in it"),
    ):
        result = tvqsr(*words)
        assert result.returncode == 2
        assert message in result.stderr


def test_a_failure_elsewhere_does_not_hide_what_does_not_rely_on_it(workspace: Path) -> None:
    folder = new_method("my_idea", workspace)
    claims = folder / "claims.yaml"
    claims.write_text(claims.read_text().replace("    worse: bicubic\n", ""))
    found = {outcome.check: outcome.status for outcome in check_method(folder, ["claims", "stages"])}
    assert found == {"description": "ok", "claims": "failed", "stages": "ok"}
