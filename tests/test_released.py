"""The authors' weights: imported, checked, and used like trained ones."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import Command
from tests.harm import Harm
from tvqsr.data.images import read_image
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plan.stored import record
from tvqsr.plugins import load_plugin

Preset = Callable[..., Path]
Checkpoint = dict[str, Tensor]


@pytest.fixture(scope="module")
def checkpoints() -> dict[str, Checkpoint]:
    """Random weights under the authors' names, of the published size."""
    method = load_method("tvqrap", "here")
    load_plugin(method)
    import importlib

    released, tokenizer_module, predictor_module, x_down = (
        importlib.import_module(f"tvqsr_method_tvqrap.{name}")
        for name in ("released", "tokenizer", "predictor", "x_down")
    )
    published = {
        stage: {name: setting.default for name, setting in spec.settings.items()}
        for stage, spec in method.spec.stages.items()
    }
    torch.manual_seed(0)
    settings = tokenizer_module.TokenizerSettings(**published["tokenizer"])
    tokenizer = tokenizer_module.Tokenizer(settings)
    halves = [
        kind(settings.x_down_shape, settings.structure_channels) for kind in (x_down.XDownEncoder, x_down.XDownDecoder)
    ]
    predictor = predictor_module.Predictor(predictor_module.PredictorSettings(**published["predictor"]), settings)
    of_tokenizer = renamed(tokenizer, released.tokenizer_names(tokenizer))
    for half in halves:
        of_tokenizer |= renamed(half, released.x_down_names(half))
    of_predictor = renamed(predictor, released.predictor_names(predictor))
    buffers = {"ft_layers_low.swin_blks.0.residual_group.blocks.1.attn_mask": torch.zeros(2)}
    return {"tokenizer": of_tokenizer, "predictor": of_predictor | of_tokenizer | buffers}


def renamed(module: Any, names: dict[str, str]) -> Checkpoint:
    return {names[key]: value for key, value in module.state_dict().items()}


@pytest.fixture
def results(preset: Preset) -> Path:
    """Results folder of a preset that asks for the authors' weights, and for its own."""

    def change(content: dict[str, Any]) -> None:
        content["entries"]["tvqrap_released"] = {"method": "tvqrap", "weights": "released"}

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    return plan.paths.root


def folder_of(results: Path, stage: str) -> Path:
    (folder,) = (results / "runs").glob(f"tvqrap.{stage}-released-*/seed0")
    return folder


@pytest.mark.slow
def test_imported_weights_upscale_like_trained_ones(
    checkpoints: dict[str, Checkpoint], results: Path, tvqsr: Command, photo: Path, workspace: Path
) -> None:
    zeros = {key: torch.zeros_like(value) for key, value in checkpoints["tokenizer"].items()}
    torch.save({"params": zeros, "params_ema": checkpoints["tokenizer"]}, workspace / "tvqrap_tok_model.pth")
    torch.save({"params_ema": checkpoints["predictor"]}, workspace / "tvqrap_sr_stage2_model.pth")
    torch.save(checkpoints["predictor"], workspace / "mine.pth")
    for file, more in (
        ("tvqrap_tok_model.pth", ()),
        ("tvqrap_sr_stage2_model.pth", ()),
        ("mine.pth", ("--stage", "rap")),
    ):
        result = tvqsr("import-weights", "tvqrap", workspace / file, "--run", results, *more)
        assert result.returncode == 0, result.stderr
    weights = load_file(folder_of(results, "tokenizer") / "weights.safetensors")
    assert torch.equal(
        weights["tokenizer.quantizer.embedding.weight"], checkpoints["tokenizer"]["quantize.embedding.weight"]
    )
    told = read_json(folder_of(results, "rap") / "run.json")
    assert told["released"]["file"] == "tvqrap_sr_stage3_model.pth"
    assert len(told["released"]["sha256"]) == 64
    assert told["settings"]["perceptual"] == "lpips_vgg"
    upscaled = tvqsr("upscale", photo, workspace / "out.png", "--entry", "tvqrap_released", "--run", results)
    assert upscaled.returncode == 0, upscaled.stderr
    assert read_image(workspace / "out.png").shape == (280, 360, 3)


@pytest.mark.slow
def test_a_predictor_is_decoded_by_the_decoder_that_it_carries(
    checkpoints: dict[str, Checkpoint], results: Path, tvqsr: Command, photo: Path, workspace: Path
) -> None:
    last = [key for key in checkpoints["tokenizer"] if key.startswith("generator.blocks_3.")][-2:]
    white = {key: torch.zeros_like(checkpoints["tokenizer"][key]) for key in last}
    white[next(key for key in last if key.endswith("bias"))] += 1
    for stage, content in (
        ("tokenizer", checkpoints["tokenizer"]),
        ("predictor", checkpoints["predictor"]),
        ("rap", checkpoints["predictor"] | white),
    ):
        torch.save({"params_ema": content}, workspace / "w.pth")
        result = tvqsr("import-weights", "tvqrap", workspace / "w.pth", "--run", results, "--stage", stage)
        assert result.returncode == 0, result.stderr
    assert tvqsr("upscale", photo, workspace / "o.png", "--entry", "tvqrap_released", "--run", results).returncode == 0
    assert (read_image(workspace / "o.png") == 255).all()
    weights = folder_of(results, "rap") / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = tvqsr("import-weights", "tvqrap", workspace / "w.pth", "--run", results, "--stage", "rap")
    assert "is imported already" in again.stderr
    assert weights.stat().st_mtime_ns == before


def test_what_is_missing_for_the_authors_entry_is_told(results: Path, tvqsr: Command, photo: Path) -> None:
    result = tvqsr("upscale", photo, "o.png", "--entry", "tvqrap_released", "--run", results)
    assert result.returncode == 2
    assert re.search(r"missing; get the authors' tvqrap_\w+\.pth and run `tvqsr import-weights tvqrap", result.stderr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("generator.blocks_3.0.conv1.weight"), "no key `generator.blocks_3.0.conv1.weight`"),
        (
            lambda c: c.update({"quantize.embedding.weight": torch.zeros(512, 256)}),
            r"`quantize.embedding.weight` is \(512, 256\) instead of \(1024, 256\)",
        ),
        (lambda c: c.update(surplus=torch.zeros(1)), "`surplus` has no place in the network"),
    ],
)
def test_the_first_key_that_does_not_fit_is_named(
    checkpoints: dict[str, Checkpoint],
    results: Path,
    tvqsr: Command,
    workspace: Path,
    change: Callable[[Checkpoint], object],
    message: str,
) -> None:
    content = dict(checkpoints["tokenizer"])
    change(content)
    torch.save({"params_ema": content}, workspace / "tvqrap_tok_model.pth")
    result = tvqsr("import-weights", "tvqrap", workspace / "tvqrap_tok_model.pth", "--run", results)
    assert result.returncode == 2
    assert re.search(message, result.stderr)
    assert not list((results / "runs").glob("*/seed0/weights.safetensors"))


def test_code_in_a_checkpoint_is_never_run(results: Path, tvqsr: Command, workspace: Path) -> None:
    file = workspace / "tvqrap_tok_model.pth"
    torch.save({"params_ema": Harm()}, file)
    result = tvqsr("import-weights", "tvqrap", file, "--run", results)
    assert result.returncode == 2
    assert "holds more than tensors" in result.stderr
    file.write_bytes(pickle.dumps(Harm(), protocol=2))
    assert tvqsr("import-weights", "tvqrap", file, "--run", results).returncode == 2
    assert not (workspace / "harmed").exists()


def test_a_file_that_is_no_checkpoint_is_told_so(results: Path, tvqsr: Command, workspace: Path) -> None:
    (workspace / "tvqrap_tok_model.pth").write_bytes(b"<html>quota exceeded</html>")
    result = tvqsr("import-weights", "tvqrap", workspace / "tvqrap_tok_model.pth", "--run", results)
    assert result.returncode == 2
    assert "no checkpoint" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_another_file_than_the_one_first_seen_is_refused(
    checkpoints: dict[str, Checkpoint], results: Path, tvqsr: Command, workspace: Path
) -> None:
    file = workspace / "tvqrap_tok_model.pth"
    torch.save(checkpoints["tokenizer"], file)
    assert tvqsr("import-weights", "tvqrap", file, "--run", results).returncode == 0
    kept = results / "downloads" / file.name
    torch.save(checkpoints["tokenizer"] | {"quantize.embedding.weight": torch.zeros(1024, 256)}, file)
    result = tvqsr("import-weights", "tvqrap", file, "--run", results)
    assert result.returncode == 2
    assert "is not the file first seen" in result.stderr
    assert torch.load(kept, weights_only=True)["quantize.embedding.weight"].any()


def test_which_stage_a_file_is_of_must_be_clear(results: Path, tvqsr: Command, photo: Path) -> None:
    result = tvqsr("import-weights", "tvqrap", photo, "--run", results)
    assert result.returncode == 2
    assert "must be told with --stage; known: tokenizer (tvqrap_tok_model.pth)" in result.stderr
    assert "no entry of `vq` with `weights: released`" in tvqsr("import-weights", "vq", photo, "--run", results).stderr


def test_a_shipped_preset_needs_no_first_run(tvqsr: Command, workspace: Path) -> None:
    result = tvqsr("import-weights", "tvqrap", "tvqrap_tok_model.pth", "--run", "results/paper")
    assert "tvqrap_tok_model.pth: no such file" in result.stderr
    assert (workspace / "results" / "paper" / "plan.json").is_file()


def test_without_network_it_says_where_the_file_belongs(results: Path, tvqsr_alone: Command) -> None:
    run = next(name for name in read_json(results / "plan.json")["runs"] if "tokenizer-released" in name)
    result = tvqsr_alone("train", results, run, HF_HUB_OFFLINE="1")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "CVLUESTC/TVQRAP/tvqrap_tok_model.pth on the Hugging Face Hub: cannot be fetched" in result.stderr
    assert "downloads/tvqrap_tok_model.pth" in result.stderr


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"method": "vq", "weights": "released"},
            "`vq.tokenizer` has no released weights|`vq.predictor` has no released",
        ),
        ({"method": "tvqrap", "weights": "released", "stages": {"rap": {}}}, "which cannot be changed"),
    ],
)
def test_released_weights_are_only_what_was_released(preset: Preset, entry: dict[str, Any], message: str) -> None:
    from tvqsr.errors import UserError

    with pytest.raises(UserError, match=message):
        Plan.load(str(preset(lambda p: p["entries"].update(mine=entry))))
