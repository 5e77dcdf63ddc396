"""Any metric of pyiqa by its name: known at planning without pyiqa, and n/a where weights are absent."""

from __future__ import annotations

import ast
import contextlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, Command
from tests.noise import photos as noise_photos
from tests.scoring import score_of
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.pyiqa_metrics import OWN, listed_metrics
from tvqsr.score import any_metric, learned
from tvqsr.score.learned import PyiqaMetric
from tvqsr.score.picture import Picture
from tvqsr.score.protocols import protocols
from tvqsr.score.pyiqa_classes import pyiqa_class


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return noise_photos(tmp_path / "noise", (128, 160), (140, 130))


def test_the_list_is_pyiqas() -> None:
    import pyiqa
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    assert list(listed_metrics()) == list(DEFAULT_CONFIGS)
    assert {name for name, metric in listed_metrics().items() if metric.needs_hr} == set(pyiqa.list_models("FR"))
    for name in ("piqe", "gmsd", "vif", "entropy"):
        metric = pyiqa.create_metric(name, device="cpu")
        assert listed_metrics()[name].higher_is_better == (not metric.lower_better)


def test_every_definition_tells_the_options_of_pyiqas_list() -> None:
    """What pyiqa is made of by name, so that the words of two metrics differ where their options do."""
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    told = {}
    for name, about in DEFAULT_CONFIGS.items():
        if about["metric_opts"]["type"] in OWN:
            continue
        (protocol,) = protocols([f"pyiqa:{name}"], "here")
        options = {key: value for key, value in about["metric_opts"].items() if key != "type"}
        words = ", ".join(f"{key}={value!r}" for key, value in options.items())
        assert f": {about['metric_opts']['type']}({words}), " in protocol.definition
        told[name] = protocol.about(4)
    assert len(told) == len(listed_metrics()) - 4
    assert str(told["lpips"]["definition"]).startswith("pyiqa `lpips`: LPIPS(net='alex', version='0.1'), ")
    assert all(all(about[key] for key in ("colours", "rounding", "network", "library")) for about in told.values())


def test_definitions_tell_the_defaults_of_pyiqas_classes() -> None:
    """By Python's own account of each class that can be imported here, and no option twice."""
    import pyiqa.archs
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    compared = 0
    for name, about in DEFAULT_CONFIGS.items():
        kind = about["metric_opts"]["type"]
        try:
            pyiqa.archs._lazy_import_arch(kind)
        except ImportError:  # icecream, or what openai-clip takes from setuptools
            continue
        found = pyiqa.archs.ARCH_REGISTRY.get(kind)
        listed = pyiqa_class(kind).defaults
        stated = {} if "__init__" not in vars(found) else inspect.signature(found).parameters
        assert list(listed) == [key for key, about in stated.items() if about.default is not about.empty]
        for key, text in listed.items():
            with contextlib.suppress(ValueError):  # a constant by its name
                assert ast.literal_eval(text) == stated[key].default, (name, key)
                compared += 1
    assert compared > 200


def test_colours_are_told_as_they_are() -> None:
    """Whether luma is taken, and by which matrix, by the list of metrics where it says so and else by the class."""
    ssim, pi, lpips = protocols(["pyiqa:ssim", "pyiqa:pi", "pyiqa:lpips"], "here")
    assert "test_y_channel=True, color_space='yiq'" in ssim.colours
    assert "SSIM(downsample=False, test_y_channel=True), by default channels=3, color_space='yiq'" in ssim.definition
    assert ssim.definition.count("test_y_channel") == 1
    assert "color_space='ycbcr'" in pi.colours
    assert "color_space" not in lpips.colours


def test_versions_of_the_libraries_that_a_metric_is_built_on_are_told() -> None:
    wanted = {"gmsd": (), "lpips": ("torchvision",), "maniqa": ("timm",), "clipscore": ("openai-clip",)}
    for name, libraries in wanted.items():
        (protocol,) = protocols([f"pyiqa:{name}"], "here")
        told = str(protocol.about(4)["library"]).split(", ")
        assert {f"{library} {version(library)}" for library in ("pyiqa", "torch", *libraries)} <= set(told), name
        assert name == "maniqa" or not any(line.startswith("timm ") for line in told)


def test_pyiqa_goes_by_the_options_that_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that a definition names is made with the options that it tells, and no others."""
    from pyiqa.archs.ssim_arch import SSIM

    made: list[dict[str, object]] = []
    build = SSIM.__init__

    def watched(self: SSIM, **options: object) -> None:
        made.append(options)
        build(self, **options)

    monkeypatch.setattr(SSIM, "__init__", watched)
    learned._pyiqa.cache_clear()
    for name in ("ssim", "ssimc"):
        PyiqaMetric(name).load("cpu")
    assert made == [dict(listed_metrics()[name].options) for name in ("ssim", "ssimc")]


def test_names_are_checked_when_a_preset_is_planned(preset: Callable[..., Path]) -> None:
    def planned(*names: str) -> Plan:
        return Plan.load(str(preset(lambda p: p.update(protocols=list(names)))))

    assert planned("psnr_y", "pyiqa:gmsd").protocols_on("photos_test") == ("psnr_y", "pyiqa:gmsd")
    with pytest.raises(UserError, match=r"protocols: pyiqa has no metric `gsmd`; did you mean `gmsd`\?"):
        planned("pyiqa:gsmd")
    with pytest.raises(UserError, match=r"`pyiqa:fid` is of whole sets, which are scored by `fid`, `kid`"):
        planned("pyiqa:fid")
    with pytest.raises(UserError, match=r"unknown protocol `gmsd`.*any metric of pyiqa: `pyiqa:NAME`"):
        planned("gmsd")


def test_planning_imports_neither_pyiqa_nor_torch(
    preset: Callable[..., Path], tvqsr_alone: Command, tmp_path: Path
) -> None:
    """Pyiqa imports torch; its own list is read as text."""
    (tmp_path / "poison" / "torch").mkdir(parents=True)
    (tmp_path / "poison" / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')")
    path = preset(lambda p: p.update(protocols=["pyiqa:gmsd"]))
    words = ("-X", "importtime", "-m", "tvqsr", "plan", "--preset", str(path))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "poison"), str(ROOT)])}
    result = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-500:]
    modules = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "pydantic" in modules
    assert not modules & {"pyiqa", "torch"}


@pytest.mark.parametrize("name", ["gmsd", "vif", "piqe", "entropy"])
def test_numbers_are_those_of_pyiqa_on_the_files(name: str, folder: Path) -> None:
    import pyiqa

    one, other = sorted(folder.iterdir())
    metric = pyiqa.create_metric(name, device="cpu")
    sr, hr = read_image(one)[:128, :128], read_image(other)[:128, :128]
    images = [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255 for image in (sr, hr)]
    expected = metric(*images) if listed_metrics()[name].needs_hr else metric(images[0])
    assert score_of(f"pyiqa:{name}", sr, hr) == pytest.approx(float(expected), rel=1e-5)


def test_random_crops_are_the_same_each_time_and_draws_of_others_are_left_alone(folder: Path) -> None:
    """PieAPP and others cut where chance says: here a metric that is nothing but chance."""

    class Chance:
        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            return torch.rand(1) + np.random.rand()  # noqa: NPY002

    metric = any_metric.AnyMetric(PyiqaMetric("piqe"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PyiqaMetric, "network", lambda *_: Chance())
        picture = Picture(read_image(min(folder.iterdir())))
        torch.manual_seed(1)
        before = torch.rand(1)
        torch.manual_seed(1)
        first = metric.of_image(picture, "cpu")
        assert torch.rand(1) == before
        assert metric.of_image(picture, "cpu") == first


def test_the_score_command_tells_what_it_is(tvqsr: Command, folder: Path) -> None:
    result = tvqsr("score", "--sr", folder, "--hr", folder, "--protocol", "pyiqa:gmsd", "--protocol", "pyiqa:piqe")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)["protocols"]
    assert told["pyiqa:gmsd"]["mean"] == pytest.approx(0, abs=1e-6)
    assert "pyiqa 0." in told["pyiqa:gmsd"]["about"]["library"]
    refused = tvqsr("score", "--sr", folder, "--protocol", "pyiqa:gmsd")
    assert "pyiqa:gmsd: compares with HR" in refused.stderr
    assert not protocols(["pyiqa:gmsd"], "here")[0].higher_is_better


def test_absent_weights_are_na_and_nothing_is_fetched(tvqsr: Command, folder: Path, torch_home: Path) -> None:
    names = ("pyiqa:topiq_nr", "pyiqa:cnniqa", "pyiqa:brisque")
    words = [word for name in names for word in ("--protocol", name)]
    result = tvqsr("score", "--sr", folder, *words)
    assert result.returncode == 0, result.stderr
    for name in names:
        summary = json.loads(result.stdout)["protocols"][name]
        assert summary["mean"] is None
        assert summary["reason"].startswith("weights absent")
        assert "allow downloads" in summary["reason"]
        assert "\n" not in summary["reason"]
    assert "Traceback" not in result.stderr
    assert not [path for path in torch_home.rglob("*") if path.is_file()]


def test_an_image_that_a_metric_cannot_take_is_na_and_all_else_is_scored(tvqsr: Command, tmp_path: Path) -> None:
    folder = noise_photos(tmp_path / "mixed", (20, 20), (128, 128))
    words = ("--sr", folder, "--hr", folder, "--protocol", "psnr_y", "--protocol", "pyiqa:vif")
    result = tvqsr("score", *words)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["images"]["p0"] == {"psnr_y": 80, "pyiqa:vif": None}
    assert told["images"]["p1"] == {"psnr_y": 80, "pyiqa:vif": pytest.approx(1, abs=1e-3)}
    assert told["protocols"]["pyiqa:vif"]["n"] == 1
    (folder / "p1.png").unlink()
    told = json.loads(tvqsr("score", *words).stdout)["protocols"]
    assert told["psnr_y"]["n"] == 1
    assert told["pyiqa:vif"]["reason"].startswith("pyiqa:vif gives no number for an image of 20 x 20 (")


@pytest.mark.parametrize("name", ["clipscore", pytest.param("liqe", marks=pytest.mark.slow)])
def test_metrics_on_clip_lack_weights_and_no_package(name: str, torch_home: Path) -> None:
    """openai-clip imports what setuptools has no more; in a new process, where nothing has imported it before."""
    code = f"""
from tvqsr.score.protocols import protocols
from tvqsr.score.ready import why_not
print(why_not(protocols(["pyiqa:{name}"], "here")[0], False, "cpu"))"""
    environment = os.environ | {"HOME": str(torch_home)}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("weights absent"), told.stdout
    assert "pkg_resources" not in told.stdout
    assert "it wants to fetch something" in told.stdout
