"""The family as settings: what goes together, what the report tells of it, and equal bits where it is compared."""

from __future__ import annotations

import re
from math import log2
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.quantizer_family import DIM
from tests.untrained import ChangedPreset
from tvqsr.errors import UserError
from tvqsr.nn.quantizers import QuantizerKind, QuantizerSpec, new_quantizer
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plugins import load_plugin
from tvqsr.report.page import variants


@pytest.mark.parametrize(
    ("kind", "size", "count", "message"),
    [
        ("vq", 16, 2, "quantizer `vq` has 1, found 2"),
        ("hierarchical", 16, 1, "quantizer `hierarchical` has 2, found 1"),
        ("fsq", 1024, 1, "no levels for 1024 codes; take one of 16, 64, 240, 1000"),
        ("lfq", 1000, 1, "needs a power of two, found 1000"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(kind: Any, size: int, count: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        QuantizerSpec(kind, size, count, DIM, "textbook")


def test_channels_that_cannot_be_grouped_are_refused() -> None:
    with pytest.raises(UserError, match="8 channels cannot be divided into 3 groups"):
        new_quantizer(QuantizerSpec("grouped", 16, 3, DIM, "textbook"))


def test_both_methods_offer_the_whole_family_and_vq_explains_it() -> None:
    settings = {name: load_method(name, "test").spec.stages["tokenizer"].settings for name in ("vq", "tvqrap")}
    explained = settings["vq"]["quantizer"].choices
    assert isinstance(explained, dict)
    assert tuple(explained) == settings["tvqrap"]["quantizer"].choices == get_args(QuantizerKind)
    assert all(re.search(r"arXiv \d{4}\.\d{5}", text) for text in explained.values())
    assert {settings[name]["quantizer"].default for name in settings} == {"vq"}


def _change(content: dict[str, Any]) -> None:
    stages = {"tokenizer": {"settings": {"quantizer": "fsq"}}}
    content["entries"] = {
        "vq_fsq": {"method": "vq", "stages": stages},
        "tvq": {"method": "tvqrap", "upscales_with": "tokenizer"},
    }


def test_the_report_explains_the_quantisers_in_use(preset: ChangedPreset) -> None:
    plan = Plan.load(str(preset(_change)))
    (line,) = variants(plan, plan.methods["vq"])
    assert line.startswith("quantizer fsq: Finite scalar quantisation (arXiv 2309.15505)")
    assert variants(plan, plan.methods["tvqrap"]) == []


@pytest.mark.parametrize(("name", "bits"), [("mini", 4.0), ("small", 10.0), ("paper", 10.0)])
def test_compared_quantisers_spend_equal_bits(workspace: Path, name: str, bits: float) -> None:
    plan = Plan.load(name, {"entries": "all"})
    for table in ("quantizers", "quantizers_structure", "quantizers_sr"):
        spec, kinds = plan.tables[table], set()
        assert spec.varies == ("quantizer", "codebook_size", "codebook_count")
        for entry in spec.entries:
            run = plan.entries[entry].run
            assert run is not None
            tokenizer = next(part for part in run.lineage() if part.stage == "tokenizer")
            made_of = (
                load_plugin(tokenizer.method).stage("tokenizer", tokenizer.settings, {}) if name == "mini" else None
            )
            settings: Any = tokenizer.settings
            family = QuantizerSpec(
                settings["quantizer"], settings["codebook_size"], settings["codebook_count"], 4 * settings["width"],
                settings["vq_loss"],
            )  # fmt: skip
            if made_of is not None:
                network: Any = made_of.networks["tokenizer"]
                assert network.quantizer.codebooks == family.codebooks
            spent = sum(log2(book.size) * (8 / book.stride) ** 2 for book in family.codebooks)
            assert spent == pytest.approx(bits, abs=0.05), entry
            kinds.add(family.kind)
        assert kinds == set(get_args(QuantizerKind))
