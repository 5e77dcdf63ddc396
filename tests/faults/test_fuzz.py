"""A little of `tests.faults.fuzz`, and what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fuzz import FUZZERS, answer, fuzzed


@pytest.mark.parametrize("kind", FUZZERS)
def test_nonsense_gets_no_traceback(kind: str) -> None:
    answers = fuzzed(kind, 40, seed=1)
    assert not {what: numbers for what, numbers in answers.items() if what.startswith("WRONG")}
    assert answers["refused"], "of so much nonsense, some is refused"


@pytest.mark.parametrize("text", ["[a, b]: 1\n", "{a: 1}: 2\n", "? [x]\n: y\n"])
def test_a_list_as_a_key_is_no_traceback(workspace: Path, text: str) -> None:
    (workspace / "odd.yaml").write_text(text)
    assert answer(["plan", "--preset", "odd.yaml"]) == "refused"
