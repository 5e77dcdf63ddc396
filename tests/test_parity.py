"""Our networks against the authors' own, on given weights (`../shared/parity`, or the folder in TVQSR_PARITY)."""

from __future__ import annotations

import importlib
import json
import os
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.conftest import ROOT
from tvqsr.nn.index_predictor import likeliest
from tvqsr.nn.released import fill
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

TOLERANCE = 1e-4


def folder(name: str) -> Path:
    path = Path(os.environ.get("TVQSR_PARITY", ROOT.parent / "shared" / "parity")) / name
    if not (path / "reference.npz").is_file():
        pytest.skip(f"needs the reference values of `{name}` in ../shared/parity or $TVQSR_PARITY")
    return path


def filled(key: str, shape: list[int], salt: str) -> Tensor:
    """The value that the references give a key (README of the parity folder)."""
    random = np.random.default_rng(zlib.crc32(f"{salt}:{key}".encode()))
    value = random.standard_normal(shape).astype(np.float32)
    if key.endswith("relative_position_bias_table"):
        value = 0.1 * value
    elif len(shape) == 1:
        value = 0.1 * value + (1 if key.endswith("weight") else 0)
    elif "embedding" not in key:
        value = value / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(value, np.float32))


def error(found: Tensor, expected: NDArray[np.float32]) -> float:
    reference = torch.from_numpy(expected)
    return float((found.detach().reshape(reference.shape) - reference).norm() / reference.norm())


class Networks(NamedTuple):
    """TVQ&RAP at the paper's size with the reference weights, the references, and released keys left over."""

    tokenizer: Any
    x_down_encoder: Any
    x_down_decoder: Any
    predictor: Any
    reference: Mapping[str, NDArray[Any]]
    unused: dict[str, set[str]]


def part(module: str) -> Any:
    """A module of the method's plugin."""
    return importlib.import_module(f"tvqsr_method_tvqrap.{module}")


@cache
def networks() -> Networks:
    path = folder("tvqrap")
    reference = np.load(path / "reference.npz", allow_pickle=False)
    salt = str(reference["salt"]) if "salt" in reference else "public"
    keys = json.loads((path / "state_dict_keys.json").read_text())
    weights = {net: {key: filled(key, shape, salt) for key, shape in entries} for net, entries in keys.items()}
    method = load_method("tvqrap", "here")
    load_plugin(method)
    published = {
        stage: {name: setting.default for name, setting in spec.settings.items()}
        for stage, spec in method.spec.stages.items()
    }
    settings = part("tokenizer").TokenizerSettings(**published["tokenizer"])
    tokenizer = part("tokenizer").Tokenizer(settings)
    encoder = part("x_down").XDownEncoder(settings.x_down_shape, settings.structure_channels)
    decoder = part("x_down").XDownDecoder(settings.x_down_shape, settings.structure_channels)
    predictor_settings = part("predictor").PredictorSettings(**published["predictor"])
    predictor = part("predictor").Predictor(predictor_settings, settings)
    released = part("released")
    unused = {net: set(of_net) for net, of_net in weights.items()}
    for net, module, names in (
        ("tokenizer", tokenizer, released.tokenizer_names(tokenizer)),
        ("tokenizer", encoder, released.x_down_names(encoder)),
        ("tokenizer", decoder, released.x_down_names(decoder)),
        ("predictor", predictor, released.predictor_names(predictor)),
    ):
        fill(module, names, weights[net])
        unused[net] -= set(names.values())
    return Networks(tokenizer, encoder, decoder, predictor, reference, unused)


def test_every_released_key_has_its_place() -> None:
    tokenizer, encoder, decoder, predictor, _, unused = networks()
    assert unused["tokenizer"] == set()
    carried_along = ("encoder.", "quantize.", "generator.", "lq_encoder.", "lq_generator.")
    assert all(key.startswith(carried_along) for key in unused["predictor"])
    count = sum(p.numel() for part in (tokenizer, encoder, decoder) for p in part.parameters())
    assert count == pytest.approx(35.56e6, rel=1e-3)
    assert sum(p.numel() for p in predictor.parameters()) == pytest.approx(39.45e6, rel=1e-3)


def test_the_tokenizer_computes_what_the_authors_does() -> None:
    tokenizer, encoder, decoder, _, reference, _ = networks()
    with torch.no_grad():
        encoded = tokenizer.encode(2 * torch.from_numpy(reference["hr"]) - 1)
        image = tokenizer.decode(encoded.structure, encoded.texture.codes)
        f_down = encoder(torch.from_numpy(reference["x_down"]))
        x_down = decoder(f_down)
    assert error(encoded.f_low, reference["f_low"]) <= TOLERANCE
    assert encoded.texture.indices[0].flatten().tolist() == reference["indices"].flatten().tolist()
    assert float(encoded.texture.loss) == pytest.approx(float(reference["vq_loss"]), rel=TOLERANCE)
    assert error(image, reference["recon"]) <= TOLERANCE
    assert error(f_down, reference["f_down"]) <= TOLERANCE
    assert error(x_down, reference["x_down_recon"]) <= TOLERANCE


def test_the_predictor_computes_what_the_authors_does() -> None:
    tokenizer, _, _, predictor, reference, _ = networks()
    with torch.no_grad():
        predicted = predictor(2 * torch.from_numpy(reference["lr"]) - 1, tokenizer.structure_path)
        indices = likeliest(predicted.logits)
        sr = tokenizer.decode(predicted.structure, tokenizer.quantizer.lookup(indices))
    assert error(predicted.f_low, reference["pred_f_low"]) <= TOLERANCE
    logits = predicted.logits[0].flatten(2).transpose(1, 2)[:, :64]
    assert error(logits, reference["logits_first_64_tokens"]) <= TOLERANCE
    assert indices[0].flatten().tolist() == reference["pred_indices"].flatten().tolist()
    assert error(sr, reference["sr"]) <= TOLERANCE


def test_the_gradient_along_the_straight_through_path() -> None:
    from tvqsr.nn.quantize import straight_through_lookup

    tokenizer, _, _, predictor, reference, _ = networks()
    tokenizer.requires_grad_(False)
    predicted = predictor(2 * torch.from_numpy(reference["lr"]) - 1, tokenizer.structure_path)
    codes = straight_through_lookup(predicted.logits, tokenizer.quantizer)
    sr = tokenizer.decode(predicted.structure, codes)
    (gradient,) = torch.autograd.grad(sr.square().mean(), predictor.head.linear.weight)
    assert error(gradient[:8], reference["ste_head_grad"]) <= TOLERANCE
    assert float(gradient.norm()) == pytest.approx(float(reference["ste_head_grad_norm"]), rel=TOLERANCE)
