"""What several tests share: the tiny preset, a prepared workspace, real photos, and the folders beside the checkout."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tvqsr.cli import main
from tvqsr.data.images import read_image
from tvqsr.data.prepare import prepare
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.stored import record
from tvqsr.score import learned

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "presets" / "tiny.yaml"

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests are small: threads would cost more than they give."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: results go to `results/` below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tvqsr(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in the workspace, in this process: imports are paid for once."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main([str(word) for word in words])
        return subprocess.CompletedProcess([str(word) for word in words], code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def tvqsr_alone(workspace: Path) -> Command:
    """Run the command line in the workspace as a process of its own."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tvqsr", *map(str, words)]
        return subprocess.run(
            command, cwd=workspace, env=os.environ | environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def preset(workspace: Path) -> Callable[..., Path]:
    """Write a changed copy of the tiny preset; `change` gets its content as a dict."""

    def write(change: Callable[[dict[str, Any]], object] = lambda _: None, name: str = "mine") -> Path:
        # Through JSON, since aliases in YAML are one object: a change in one place would show in the other.
        content = json.loads(json.dumps(yaml.safe_load(TINY.read_text())))
        change(content)
        path = workspace / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def tiny_plan(workspace: Path) -> Plan:
    """The tiny preset, with results in the workspace."""
    return Plan.load(str(TINY))


@pytest.fixture
def results(tiny_plan: Plan) -> Path:
    """Results folder of the tiny preset with its plan in it and nothing else."""
    write_json(tiny_plan.paths.record, record(tiny_plan))
    return tiny_plan.paths.root


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A real photo, 90 x 70 pixels: sides that are multiples of nothing much."""
    import skimage

    pixels = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")[100:170, 150:240]
    path = tmp_path / "cat.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photo_store(photo: Path, tmp_path: Path) -> Path:
    """That photo as a prepared set to train on."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.rename(folder / photo.name)
    prepare(DatasetSpec(folder=str(folder)), tmp_path / "store", True, print)
    return tmp_path / "store"


@pytest.fixture
def crop_store(tmp_path: Path) -> Path:
    """A training set of two photos, one of sides that are no multiples of 4."""
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in (("a", (90, 70)), ("b", (64, 131))):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(photos / f"{name}.png")
    prepare(DatasetSpec(folder=str(photos)), tmp_path / "store", True, print)
    return tmp_path / "store"


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty TORCH_HOME; pyiqa reads the variable only when it is imported."""
    from pyiqa.utils import download_util

    home = tmp_path / "torch_home"
    (home / "hub" / "pyiqa").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(home / "hub" / "pyiqa"))
    learned._pyiqa.cache_clear()
    yield home
    learned._pyiqa.cache_clear()


def shared(*parts: str) -> Path:
    """A folder beside the checkout with real data; skips the test where it is absent."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(('..', 'shared', *parts))}, which is not here")
    return path
