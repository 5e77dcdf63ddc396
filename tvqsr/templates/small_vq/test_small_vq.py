"""Small VQ does what every method must; add what is true of yours alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tvqsr.plan.method import read_method
from tvqsr.plugins import load_plugin
from tvqsr.testing.suite import check_method

HERE = Path(__file__).parent


def test_it_conforms() -> None:
    failures = [str(outcome) for outcome in check_method(HERE) if outcome.status == "failed"]
    assert not failures, "\n".join(failures)


def test_an_image_goes_through_the_codebook() -> None:
    stage = load_plugin(read_method(HERE)).stage("tokenizer", {"width": 8, "codebook_size": 16}, {})
    tokenizer: Any = stage.networks["tokenizer"]
    quantized = tokenizer.encode(2 * torch.rand(1, 3, 32, 48) - 1)
    assert quantized.indices[0].shape == (1, 4, 6)
    torch.testing.assert_close(quantized.codes, tokenizer.quantizer.lookup(quantized.indices))
