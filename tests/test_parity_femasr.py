"""Our FeMaSR against the authors' networks, on given weights (`../shared/parity`, or the folder in TVQSR_PARITY)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.test_parity import TOLERANCE, error, filled, folder
from tvqsr.contract import Trained, Upscaler
from tvqsr.errors import UserError
from tvqsr.nn.femasr_frame import mirrored
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin

Reference = Mapping[str, NDArray[Any]]


@cache
def reference() -> Reference:
    arrays: Reference = np.load(folder("femasr") / "reference.npz", allow_pickle=False)
    return arrays


@cache
def checkpoint(network: str) -> dict[str, Tensor]:
    """Reference weights under the authors' names, with what a checkpoint holds beside them."""
    keys = json.loads((folder("femasr") / "state_dict_keys.json").read_text())
    salt = str(reference()["salt"]) if "salt" in reference() else "public"
    weights = {key: filled(key, shape, salt) for key, shape in keys[network]}
    return weights | {"conv_semantic.0.bias": torch.zeros(512)}


@cache
def imported(stage: str) -> Trained:
    """A run of the published settings, filled as `tvqsr import-weights` does."""
    method = load_method("femasr", "here")
    settings = {name: setting.default for name, setting in method.spec.stages[stage].settings.items()}
    needs = {} if stage == "hq" else {"hq": imported("hq")}
    hollow = Trained(stage, settings, {}, needs)
    return Trained(stage, settings, load_plugin(method).released(hollow, checkpoint(stage)), needs)


@cache
def upscaler(stage: str) -> Any:
    model: Upscaler = load_plugin(load_method("femasr", "here")).upscaler(imported(stage))
    return model.eval().requires_grad_(False)


def given(name: str) -> Tensor:
    return torch.from_numpy(reference()[name])


def test_the_tokenizer_computes_what_the_authors_does() -> None:
    tokenizer = upscaler("hq").tokenizer
    quantized = tokenizer.encode(given("hr"))
    assert error(tokenizer(given("hr")), reference()["recon"]) <= TOLERANCE
    (indices,) = quantized.indices
    assert indices.flatten().tolist() == reference()["indices"].flatten().tolist()
    assert float(quantized.loss) == pytest.approx(float(reference()["codebook_loss"]), rel=TOLERANCE)


def test_the_lq_network_computes_what_the_authors_does() -> None:
    model = upscaler("lq")
    features, shortcuts = model.network(given("lr"))
    (indices,) = model.prior.quantizer.indices(features)
    assert indices.flatten().tolist() == reference()["sr_indices"].flatten().tolist()
    assert error(model.prior(model.prior.quantizer.lookup((indices,)), shortcuts), reference()["sr"]) <= TOLERANCE


def test_upscaling_goes_the_authors_padded_way() -> None:
    model = upscaler("lq")
    sr = model(given("lr"))
    assert error(sr, reference()["sr_padded"]) <= TOLERANCE
    # Padding shows: at the border, and everywhere through the group norms.
    assert error(sr, reference()["sr"]) > 100 * TOLERANCE
    # HQ's test path is the same at another unit, and its indices are those told of HR.
    wide = model._reference[0].indices(mirrored(given("hr"), 64))[0]
    assert torch.equal(model.codes_of_hr(given("hr"))[0], wide[:, :32, :32])
    assert torch.equal(upscaler("hq").codes(given("hr"))[0], wide[:, :32, :32])


@pytest.mark.parametrize("stage", ["hq", "lq"])
def test_the_first_key_that_does_not_fit_is_named(stage: str) -> None:
    method, weights = load_method("femasr", "here"), dict(checkpoint(stage))
    hollow = Trained(stage, imported(stage).settings, {}, imported(stage).needs)
    del weights["out_conv.bias"]
    with pytest.raises(UserError, match=r"no key `out_conv\.bias`"):
        load_plugin(method).released(hollow, weights)
    with pytest.raises(UserError, match="`surplus` has no place"):
        load_plugin(method).released(hollow, dict(checkpoint(stage)) | {"surplus": torch.zeros(1)})
