"""Finished results, and a copy of them to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.spoilt import spoilt
from tests.verify.conftest import finished

__all__ = ["finished", "spoilt"]


@pytest.fixture
def copy(finished: Path, workspace: Path) -> Path:
    """Finished results of a tokenizer and its predictor, two seeds, in a place where nobody made them."""
    shutil.copytree(finished, workspace / "moved" / "tested")
    return workspace / "moved" / "tested"
