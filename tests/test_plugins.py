"""Methods from three places, found by the same code; a broken one breaks only itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Command
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method, method_folders
from tvqsr.plugins import load_plugin

METHOD = "name: mirror\ntitle: Mirror\nkind: control\ndiffers: everything\n"
PLUGIN = """
from torch import nn
from tvqsr.contract import Upscaler
from .neighbour import SCALE

class Mirror(Upscaler):
    def forward(self, image):
        return nn.functional.interpolate(image, scale_factor=SCALE).flip(-1)

def upscaler(trained):
    return Mirror()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A method in a package of somebody else's, as pip leaves it: a folder and its metadata."""
    site = tmp_path / "site"
    (site / "mirror").mkdir(parents=True)
    (site / "mirror" / "method.yaml").write_text(METHOD)
    (site / "mirror" / "plugin.py").write_text(PLUGIN)
    (site / "mirror" / "neighbour.py").write_text("SCALE = 4\n")
    info = site / "mirror_sr-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mirror-sr\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tvqsr.methods]\nmirror = mirror\n")
    monkeypatch.syspath_prepend(str(site))
    for name in [name for name in sys.modules if name.startswith("tvqsr_method_mirror")]:
        monkeypatch.delitem(sys.modules, name)
    return site / "mirror"


def test_methods_are_found_in_all_three_places(installed: Path) -> None:
    folders = method_folders()
    assert folders["mirror"] == installed
    assert [Path(str(folders[name])).parent.name for name in ("tvqrap", "vq")] == ["methods", "baselines"]
    load_plugin(load_method("mirror", "here"))


def test_an_installed_method_takes_part(installed: Path, preset: Callable[..., Path], tvqsr: Command) -> None:
    def change(content: dict[str, Any]) -> None:
        content["entries"] = {"mirror": {"method": "mirror"}}
        content["methods"] = {}

    path = preset(change)
    plan = Plan.load(str(path))
    root = plan.paths.root
    steps = (
        ("record", "--preset", path),
        ("prepare", root, "photos_test"),
        ("upscale-entry", root, "mirror", "photos_test"),
    )
    for words in steps:
        result = tvqsr(*words)
        assert result.returncode == 0, result.stderr
    lr = read_image(plan.paths.dataset("photos_test") / "LR" / "chelsea.png")
    sr = read_image(plan.paths.images("mirror", 0, "photos_test") / "chelsea.png")
    assert (sr[::4, ::4] == lr[:, ::-1]).all()


def test_a_broken_method_breaks_only_those_who_use_it(installed: Path, preset: Callable[..., Path]) -> None:
    (installed / "method.yaml").write_text("name: [")
    assert Plan.load(str(preset())).runs
    with pytest.raises(UserError, match=r"mirror.method\.yaml: is not valid YAML"):
        Plan.load(str(preset(lambda p: p["entries"].update(m1={"method": "mirror"}))))


def test_a_plugin_that_cannot_be_parsed_does_not_stop_the_plan(installed: Path, preset: Callable[..., Path]) -> None:
    (installed / "plugin.py").write_text("def broken(:\n")
    plan = Plan.load(str(preset(lambda p: p["entries"].update(m1={"method": "mirror"}))))
    assert plan.upscale_key("m1")
    with pytest.raises(UserError, match=r"plugin\.py: cannot be imported"):
        load_plugin(plan.methods["mirror"])


def test_a_plugin_without_the_functions_of_the_contract_is_named(installed: Path) -> None:
    (installed / "plugin.py").write_text("x = 1\n")
    with pytest.raises(UserError, match=r"plugin\.py: has no function `upscaler`"):
        load_plugin(load_method("mirror", "here"))
    (installed / "plugin.py").unlink()
    with pytest.raises(UserError, match=r"plugin\.py: missing"):
        load_plugin(load_method("mirror", "here"))


def test_one_name_given_twice_is_refused(installed: Path) -> None:
    info = next(installed.parent.glob("*.dist-info"))
    (info / "entry_points.txt").write_text("[tvqsr.methods]\nvq = mirror\n")
    with pytest.raises(UserError, match="method `vq` is given twice"):
        load_method("vq", "here")
    assert load_method("tvqrap", "here").name == "tvqrap"


def test_an_entry_point_that_leads_nowhere_breaks_only_itself(installed: Path) -> None:
    info = next(installed.parent.glob("*.dist-info"))
    (info / "entry_points.txt").write_text("[tvqsr.methods]\nlost = absent.package\n")
    assert load_method("tvqrap", "here").name == "tvqrap"
    with pytest.raises(UserError, match=r"there is no package folder `absent\.package`"):
        load_method("lost", "here")


TINY = """\
name: mirror
title: Mirror
kind: gan
differs: everything
upscales_with: only
stages:
  only:
    trains_on: hr
    settings: {width: {default: 64, minimum: 4}, depth: 3}
    training: {iterations: 9, batch_size: 2, hr_crop: 64, learning_rate: 0.1, betas: [0.9, 0.99], ema: 0.9}
tiny: {only: {width: 4}}
"""


def test_a_tiny_preset_starts_from_the_smallest_settings(installed: Path, preset: Callable[..., Path]) -> None:
    (installed / "method.yaml").write_text(TINY)

    def settings(tiny: bool, **own: Any) -> dict[str, Any]:
        def change(content: dict[str, Any]) -> None:
            content |= {"tiny": tiny, "entries": {"m1": {"method": "mirror"}}, "tables": {}}
            content["methods"] = {"mirror": {"only": {"settings": own}}} if own else {}

        (run,) = Plan.load(str(preset(change))).runs.values()
        return dict(run.settings)

    assert settings(False) == {"width": 64, "depth": 3}
    assert settings(True) == {"width": 4, "depth": 3}
    assert settings(True, width=5) == {"width": 5, "depth": 3}


@pytest.mark.parametrize(
    ("tiny", "message"),
    [
        ("{olny: {width: 4}}", r"method\.yaml: tiny: unknown stage `olny`; did you mean `only`"),
        ("{only: {widht: 4}}", r"tiny\.only: unknown setting `widht`; did you mean `width`"),
        ("{only: {width: 3}}", r"tiny\.only\.width: expected at least 4, found 3"),
        ("{only: {width: wide}}", r"tiny\.only\.width: expected int"),
    ],
)
def test_smallest_settings_that_cannot_be_are_refused(installed: Path, tiny: str, message: str) -> None:
    (installed / "method.yaml").write_text(TINY.replace("{only: {width: 4}}", tiny))
    with pytest.raises(UserError, match=message):
        load_method("mirror", "here")


def test_methods_are_listed_with_what_the_presets_give_them(tvqsr: Command) -> None:
    listed = {method["name"]: method for method in json.loads(tvqsr("methods", "--json").stdout)}
    assert {"tvqrap", "vq", "bicubic"} <= set(listed)
    vq = listed["vq"]
    assert list(vq["stages"]) == ["tokenizer", "predictor", "skip"]
    assert vq["stages"]["predictor"]["needs"] == ["tokenizer"]
    plan = Plan.load("mini", {"entries": "all"})
    rows = [name for name, entry in plan.entries.items() if entry.method.name == "vq"]
    assert vq["presets"]["mini"]["entries"] == rows
    steps = {run.name: run.training.steps for row in rows if (last := plan.entries[row].run) for run in last.lineage()}
    assert vq["presets"]["mini"]["iterations"] == sum(steps.values())
    told = tvqsr("methods", "tvqrap").stdout
    assert "ICLR 2026" in told
    assert "codebook_size: 1024; at least 2" in told
    assert "norm: group; one of group, channel" in told


def test_a_broken_method_is_listed_with_its_error_and_hides_nobody(installed: Path, tvqsr: Command) -> None:
    whole = tvqsr("methods").stdout
    (installed / "method.yaml").write_text("name: [")
    result = tvqsr("methods")
    assert result.returncode == 0
    assert "mirror  cannot be used\n  error    " in result.stdout
    assert "mirror/method.yaml: is not valid YAML" in result.stdout
    assert [block for block in whole.split("\n\n") if not block.startswith("mirror")] == [
        block for block in result.stdout.split("\n\n") if not block.startswith("mirror")
    ]


def test_listing_and_help_do_without_torch(tmp_path: Path, tvqsr_alone: Command) -> None:
    poison = tmp_path / "poison" / "torch"
    poison.mkdir(parents=True)
    (poison / "__init__.py").write_text("raise SystemExit('torch was imported')")
    for words in (("--help",), ("methods",), ("new-method", "my_idea", "--at", tmp_path / "here")):
        result = tvqsr_alone(*words, PYTHONPATH=f"{poison.parent}:{ROOT}")
        assert result.returncode == 0, result.stderr
