"""AE-PSNR: what it is of two images, which auto-encoder it looks through, and that it is scored in a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.conftest import Command
from tvqsr.contract import Upscaler
from tvqsr.data.images import Pixels, read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.plan import Plan
from tvqsr.plugins import load_plugin
from tvqsr.score.pairs import score_pairs
from tvqsr.score.photos import NO_AUTOENCODER, Conditions
from tvqsr.score.protocols import protocols
from tvqsr.train.weights import load_trained

Preset = Callable[..., Path]


def halved(pixels: Pixels) -> Pixels:
    return pixels // 2


@pytest.fixture
def pair(photo: Path, tmp_path: Path) -> tuple[str, Path, Path]:
    """A photo and a copy of it with noise."""
    hr = read_image(photo).astype(int)
    noisy = np.clip(hr + np.random.default_rng(0).integers(-20, 20, hr.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    return "cat", tmp_path / "noisy.png", photo


def luma_psnr(one: Pixels, other: Pixels, crop: int) -> float:
    """PSNR of BT.601 luma in studio range, spelled out."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    ours, theirs = (((x.astype(float) @ weights) + 16)[crop:-crop, crop:-crop] for x in (one, other))
    return float(-10 * np.log10((((ours - theirs) / 255) ** 2).mean() + 1e-8))


def test_both_images_go_through_the_auto_encoder(pair: tuple[str, Path, Path]) -> None:
    (score,) = score_pairs([pair], protocols(["ae_psnr"], "here"), Conditions(4, autoencoder=halved))
    expected = luma_psnr(halved(read_image(pair[1])), halved(read_image(pair[2])), 4)
    assert score.value == pytest.approx(expected, abs=1e-9)
    plain = luma_psnr(read_image(pair[1]), read_image(pair[2]), 4)
    assert abs(expected - plain) > 1, "the test would not see whether the auto-encoder was used"


def test_other_protocols_do_not_look_through_it(pair: tuple[str, Path, Path]) -> None:
    wanted = protocols(["psnr_y", "ae_psnr"], "here")
    plain, _ = score_pairs([pair], wanted, Conditions(4, autoencoder=halved))
    assert plain.value == pytest.approx(luma_psnr(read_image(pair[1]), read_image(pair[2]), 4), abs=1e-9)


def test_without_an_auto_encoder_it_is_not_computed(pair: tuple[str, Path, Path]) -> None:
    psnr, autoencoded = score_pairs([pair], protocols(["psnr_y", "ae_psnr"], "here"), Conditions(4))
    assert psnr.value is not None
    assert (autoencoded.value, autoencoded.reason) == (None, NO_AUTOENCODER)


def with_ae_psnr(content: dict[str, Any]) -> None:
    content["protocols"] = ["psnr_y", "ae_psnr"]
    content["seeds"] = [3, 5]
    content["runtime"]["checkpoint_seconds"] = 1000


def test_the_plan_names_the_auto_encoder(preset: Preset) -> None:
    path = str(preset(with_ae_psnr))
    assert Plan.load(path).autoencoder_on("photos_test") is None
    plan = Plan.load(path, {"entries": ["bicubic", "aesop"]})
    found = plan.autoencoder_on("photos_test")
    assert found is not None
    run, seed = found
    assert (run.method.name, run.stage, seed) == ("aesop", "autoencoder", 3)
    assert Plan.load(path, {"entries": ["aesop"], "protocols": ["psnr_y"]}).autoencoder_on("photos_test") is None


def test_scores_are_made_anew_for_another_auto_encoder(preset: Preset) -> None:
    def key(entries: list[str], encoder_growth: int = 4) -> str:
        settings = {"methods": {"aesop": {"autoencoder": {"settings": {"encoder_growth": encoder_growth}}}}}
        return Plan.load(str(preset(with_ae_psnr)), {"entries": entries} | settings).score_key("photos_test")

    assert key(["bicubic", "aesop"]) == key(["aesop"])
    assert len({key(["bicubic"]), key(["aesop"]), key(["aesop"], 8)}) == 3


def autoencoded(model: Upscaler, pixels: Pixels) -> Pixels:
    """An 8-bit image whose sides are multiples of 4 through a network, and 8-bit again."""
    with torch.inference_mode():
        out = model(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)
    return (out[0].permute(1, 2, 0).clamp(0, 1).double().numpy() * 255).round().astype(np.uint8)


def test_a_run_scores_through_the_auto_encoder_that_it_trained(preset: Preset, photo: Path, tvqsr: Command) -> None:
    def change(content: dict[str, Any]) -> None:
        with_ae_psnr(content)
        content["seeds"] = [3]
        (photo.parent / "test").mkdir()
        photo.rename(photo.parent / "test" / photo.name)
        content["datasets"]["photos_test"] = {"folder": str(photo.parent / "test")}
        content["entries"] = {"bicubic": {"method": "bicubic"}, "ae": content["more_entries"]["aesop_ae"]}
        content.update(more_entries={}, training={**content["training"], "iterations": 2})

    path = preset(change)
    plan = Plan.load(str(path))
    found = plan.autoencoder_on("photos_test")
    assert found is not None
    run, seed = found
    root = plan.paths.root
    steps: list[tuple[object, ...]] = [("record", "--preset", path)]
    steps += [("prepare", root, name) for name in ("photos_train", "photos_test")]
    steps += [("train", root, needed.name, "--seed", seed) for needed in run.lineage()]
    for entry in ("bicubic", "ae"):
        of_seed = plan.entry(entry).seeds[0]
        steps += [(step, root, entry, "photos_test", "--seed", of_seed) for step in ("upscale-entry", "score-entry")]
    for words in steps:
        result = tvqsr(*words)
        assert result.returncode == 0, (words, result.stderr)
    model = load_plugin(run.method).upscaler(load_trained(plan, run, seed)).eval()
    (only,) = read_pairs(plan.paths.dataset("photos_test"))
    hr = only.hr()
    assert hr is not None
    for entry in ("bicubic", "ae"):
        of_seed = plan.entry(entry).seeds[0]
        sr = read_image(plan.paths.images(entry, of_seed, "photos_test") / f"{only.name}.png")
        scores = pd.read_parquet(plan.paths.scores(entry, of_seed, "photos_test")).set_index("protocol")
        expected = luma_psnr(autoencoded(model, sr), autoencoded(model, hr), 4)
        assert scores.value["ae_psnr"] == pytest.approx(expected, abs=1e-2)
        assert scores.value["ae_psnr"] != pytest.approx(scores.value["psnr_y"], abs=0.1)
    # What the stage is given to make images is HR, although it trains on pairs.
    assert plan.entry("ae").reads == "hr"
    ae = read_image(plan.paths.images("ae", 3, "photos_test") / f"{only.name}.png")
    assert np.abs(ae.astype(int) - autoencoded(model, hr).astype(int)).max() <= 1
