"""Weights of metrics: where libraries look for them, and what is said where they are absent, damaged or not fetched."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest

from tests.conftest import Command
from tvqsr.data.images import write_png
from tvqsr.fetch.retry import Patience
from tvqsr.plan.protocols import WEIGHTS, WeightFile, absent, hub_folder, unavailable
from tvqsr.score.weights import fetch

LEARNED = [name for name, files in WEIGHTS.items() if files]
CONTENT = b"weights"


def test_the_files_are_those_that_the_libraries_look_for() -> None:
    from pyiqa.archs import clip_model, dists_arch, inception, maniqa_arch, musiq_arch, niqe_arch
    from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

    urls = {
        "lpips_alex": [AlexNet_Weights.IMAGENET1K_V1.url],
        "lpips_vgg": [VGG16_Weights.IMAGENET1K_V1.url],
        "lpips_squeeze": [SqueezeNet1_1_Weights.IMAGENET1K_V1.url],
        **{name: [inception.FID_WEIGHTS_URL] for name in ("fid", "kid", "fid_patch256", "kid_patch256")},
        **{name: [AlexNet_Weights.IMAGENET1K_V1.url] for name in ("fd_alexnet", "kd_alexnet")},
        "dists": [VGG16_Weights.IMAGENET1K_V1.url, dists_arch.default_model_urls["url"]],
        "clipiqa": [clip_model._MODELS["RN50"]],
        "musiq": [musiq_arch.default_model_urls["koniq10k"]],
        "maniqa": [maniqa_arch.default_model_urls["koniq"]],
        "maniqa_pipal": [maniqa_arch.default_model_urls["pipal"]],
        "niqe": [niqe_arch.default_model_urls["url"]],
    }
    assert {name: [file.url for file in WEIGHTS[name]] for name in LEARNED} == urls
    for name in LEARNED:
        assert all(Path(file.path).name == Path(urlparse(file.url).path).name for file in WEIGHTS[name])


def test_the_hub_folder_is_torchs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    for variables in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path / "cache")}, {}):
        with monkeypatch.context() as patch:
            for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            assert hub_folder() == Path(torch.hub.get_dir())


@pytest.mark.parametrize("name", LEARNED)
def test_absent_weights_are_na_with_file_and_place(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    reason = unavailable(name, downloads=False)
    assert reason is not None
    assert reason.startswith("weights absent")
    assert all(f"$TORCH_HOME/hub/{file.path}" in reason for file in WEIGHTS[name])
    assert unavailable(name, downloads=True) is None
    first, *others = WEIGHTS[name]
    first.target.parent.mkdir(parents=True)
    first.target.touch()
    assert absent(name) == others
    assert (unavailable(name, downloads=False) is None) == (not others)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    for name in ("a", "b"):
        write_png(tmp_path / "images" / f"{name}.png", image)
    return tmp_path / "images"


def test_downloads_without_network_are_na_in_one_line_and_leave_nothing(
    folder: Path, torch_home: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that nobody listens at is a network that is not there."""
    monkeypatch.setattr("tvqsr.score.weights.PATIENCE", Patience(waits=()))
    words = [word for name in LEARNED for word in ("--protocol", name)]
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    result = tvqsr("score", "--sr", folder, "--hr", folder, "--download", *words, **nowhere)
    assert result.returncode == 0, result.stderr
    summaries = json.loads(result.stdout)["protocols"]
    for name in LEARNED:
        reason = summaries[name]["reason"]
        assert summaries[name]["mean"] is None
        first = WEIGHTS[name][0]
        assert f"$TORCH_HOME/hub/{first.path}); put the file there by hand" in reason
        assert f"it cannot be fetched from {first.url} (" in reason
        assert "\n" not in reason
    assert "Traceback" not in result.stderr
    assert not [path for path in torch_home.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.fixture
def server() -> Iterator[str]:
    """Address of a server on this machine that gives CONTENT whatever is asked; `/short` breaks off half way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:3] if self.path == "/short" else CONTENT)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
            """Nothing: the test's output is not the place."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_what_is_fetched_is_whole_and_the_right_file(
    server: str, torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("tvqsr.score.weights.PATIENCE", Patience(waits=()))
    right = hashlib.sha256(CONTENT).hexdigest()[:8]

    def fetched(path: str, sha256: str) -> str | None:
        monkeypatch.setitem(WEIGHTS, "niqe", (WeightFile("pyiqa/x.mat", "somebody's", f"{server}{path}", sha256),))
        return fetch("niqe")

    target = torch_home / "hub" / "pyiqa" / "x.mat"
    assert "instead of sha256 00000000" in str(fetched("/file", "00000000"))
    assert not target.exists()
    assert "cannot be fetched" in str(fetched("/short", ""))
    assert not target.exists()
    assert fetched("/file", right) is None
    assert target.read_bytes() == CONTENT


def test_damaged_weights_are_one_line_and_exit_code_2(folder: Path, torch_home: Path, tvqsr: Command) -> None:
    for name in ("niqe", "musiq"):
        (file,) = WEIGHTS[name]
        file.target.write_bytes(b"<!doctype html>")
        result = tvqsr("score", "--sr", folder, "--protocol", name)
        assert result.returncode == 2
        assert result.stdout == ""
        assert str(file.target) in result.stderr
        assert "cannot be loaded" in result.stderr
        assert "Traceback" not in result.stderr
