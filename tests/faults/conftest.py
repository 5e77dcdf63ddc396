"""Finished results, and a copy of them to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.faults.spoilt import spoilt
from tests.verify.conftest import finished

__all__ = ["finished", "spoilt"]

GIB = 2**30
ON_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 10 GiB")


@pytest.fixture
def copy(finished: Path, workspace: Path) -> Path:
    """Finished results of a tokenizer and its predictor, two seeds, in a place where nobody made them."""
    shutil.copytree(finished, workspace / "moved" / "tested")
    return workspace / "moved" / "tested"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of which 8 GiB are for this process, which held 6 GiB at its peak."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * GIB, 10 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 6 * GIB)
