"""Authors' weights that lie at an address instead of on the Hub."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import Command
from tvqsr.errors import UserError
from tvqsr.fetch.address import Place
from tvqsr.fetch.faults import RefusedError
from tvqsr.fetch.part import Origin
from tvqsr.fetch.sums import sums_of
from tvqsr.fetch.transfer import Received, Transfer
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.method import ReleasedSpec, load_method
from tvqsr.plan.schema import parse
from tvqsr.plan.stored import record
from tvqsr.plugins import load_plugin

ADDRESS = "https://github.com/chaofengc/FeMaSR/releases/download/v0.1-pretrain_models/FeMaSR_HRP_model_g.pth"


@pytest.fixture
def plan(preset: Callable[..., Path]) -> Plan:
    """A preset that asks for FeMaSR's released first stage."""
    entry = {"method": "femasr", "upscales_with": "hq", "weights": "released"}
    plan = Plan.load(str(preset(lambda p: p["entries"].update(theirs=entry))))
    write_json(plan.paths.record, record(plan))
    return plan


@pytest.fixture
def run(plan: Plan) -> str:
    return next(name for name in plan.runs if "released" in name)


@pytest.fixture
def checkpoint() -> dict[str, Tensor]:
    """Random weights under the author's names, of the published size."""
    method = load_method("femasr", "here")
    load_plugin(method)
    network, released = (importlib.import_module(f"tvqsr_method_femasr.{name}") for name in ("network", "released"))
    published = {name: setting.default for name, setting in method.spec.stages["hq"].settings.items()}
    tokenizer = network.Tokenizer(network.HqSettings(**published))
    names = released.tokenizer_names(tokenizer)
    return {names[key]: value for key, value in tokenizer.state_dict().items()}


def test_a_checkpoint_is_fetched_from_its_address(
    plan: Plan, run: str, checkpoint: dict[str, Tensor], tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def give(transfer: Transfer, address: str, _: Place) -> Received:
        asked.append(address)
        transfer.part.begin(Origin(address, None, None, None))
        torch.save({"params": checkpoint}, transfer.part.path)
        return Received(sums_of(transfer.part.path, with_md5=False), resumed=False)

    monkeypatch.setattr(Transfer, "attempt", give)
    result = tvqsr("train", plan.paths.root, run)
    assert result.returncode == 0, result.stderr
    assert asked == [ADDRESS]
    weights = load_file(plan.paths.run(run, 0) / "weights.safetensors")
    codebook = checkpoint["quantize_group.0.embedding.weight"]
    assert torch.equal(weights["tokenizer.prior.quantizer.embedding.weight"], codebook)
    origin = read_json(plan.paths.run(run, 0) / "run.json")["released"]
    assert (origin["url"], origin["file"]) == (ADDRESS, "FeMaSR_HRP_model_g.pth")
    assert "hub" not in origin and "revision" not in origin


def test_what_cannot_be_fetched_leaves_nothing_and_says_where_it_belongs(
    plan: Plan, run: str, tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(transfer: Transfer, address: str, _: Place) -> Received:
        transfer.part.begin(Origin(address, 100, None, None))
        transfer.part.path.write_bytes(b"half")
        raise RefusedError("broken off")

    monkeypatch.setattr(Transfer, "attempt", fail)
    result = tvqsr("train", plan.paths.root, run)
    assert result.returncode == 2
    place = plan.paths.download("FeMaSR_HRP_model_g.pth")
    assert f"{ADDRESS}: cannot be fetched ({ADDRESS} (broken off))" in result.stderr
    assert str(place) in result.stderr
    assert not list(place.parent.glob("*.pth*"))


@pytest.mark.parametrize("places", [{}, {"hub": "a/b", "url": "https://c.d/e"}, {"url": "ftp://c.d/e"}])
def test_weights_lie_in_one_place(places: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"hub|url"):
        parse(ReleasedSpec, {"file": "e.pth", **places}, "here")
