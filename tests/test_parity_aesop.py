"""AESOP's auto-encoder and loss against the authors' own, on given weights (`../shared/parity/aesop`)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.test_parity import TOLERANCE, error, filled, folder
from tvqsr.nn.rrdb import RrdbNet, RrdbShape
from tvqsr.nn.rrdb_gan import autoencoded_distance
from tvqsr.plan.method import Method, load_method
from tvqsr.plugins import load_plugin

ALIASES = ("conv_first.", "body.", "conv_last.")
"""Second names of the encoder's parts in the authors' checkpoint."""


def published(method: Method, stage: str) -> dict[str, Any]:
    return {name: setting.default for name, setting in method.spec.stages[stage].settings.items()}


def autoencoder() -> nn.Module:
    method = load_method("aesop", "here")
    load_plugin(method)
    part = importlib.import_module("tvqsr_method_aesop.autoencoder")
    decoder = RrdbNet(RrdbShape(**published(load_method("rrdb", "here"), "psnr")))
    network: nn.Module = part.AutoEncoder(part.AutoEncoderSettings(**published(method, "autoencoder")), decoder)
    return network


@cache
def filled_autoencoder() -> tuple[nn.Module, Mapping[str, NDArray[Any]]]:
    path = folder("aesop")
    reference = np.load(path / "reference.npz", allow_pickle=False)
    salt = str(reference["salt"]) if "salt" in reference else "public"
    keys = json.loads((path / "state_dict_keys.json").read_text())["autoencoder"]
    weights = {key: filled(key, shape, salt) for key, shape in keys if not key.startswith(ALIASES)}
    network = autoencoder()
    network.load_state_dict(weights)
    return network.requires_grad_(False), reference


def given(reference: Mapping[str, NDArray[Any]], name: str) -> Tensor:
    return torch.from_numpy(reference[name])


def test_the_published_size() -> None:
    """18.176 M parameters, 1.478 M of them the encoder's: measured on the authors' networks."""
    network = autoencoder()
    encoder = sum(p.numel() for name, p in network.named_parameters() if name.startswith("encoder."))
    assert encoder == pytest.approx(1.478e6, rel=1e-3)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(18.176e6, rel=1e-4)


def test_the_auto_encoder_computes_what_the_authors_does() -> None:
    network, reference = filled_autoencoder()
    encoder = network.get_submodule("encoder")
    with torch.no_grad():
        assert error(encoder(given(reference, "sr")), reference["bottleneck"]) <= TOLERANCE
        assert error(network(given(reference, "sr")), reference["ae_sr"]) <= TOLERANCE
        assert error(network(given(reference, "hr")), reference["ae_hr"]) <= TOLERANCE


def test_the_loss_and_its_gradient_are_the_authors() -> None:
    network, reference = filled_autoencoder()
    sr = given(reference, "sr").requires_grad_()
    loss = autoencoded_distance(network, sr, given(reference, "hr"))
    (gradient,) = torch.autograd.grad(loss, sr)
    assert loss.item() == pytest.approx(float(reference["l_aesop"]), rel=TOLERANCE)
    assert error(gradient, reference["grad_sr"]) <= TOLERANCE
