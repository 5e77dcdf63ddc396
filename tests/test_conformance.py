"""Every method that is shipped passes the conformance suite, the template of new ones included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tvqsr.data.prepare import prepare
from tvqsr.new_method import TEMPLATE
from tvqsr.plan.preset import DatasetSpec
from tvqsr.testing.candidate import Candidate
from tvqsr.testing.code import traces_of
from tvqsr.testing.suite import check_method

ROOMS = (ROOT / "tvqsr" / "methods", ROOT / "baselines")
METHODS = [TEMPLATE, *(path.parent for room in ROOMS for path in sorted(room.glob("*/method.yaml")))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    prepare(DatasetSpec(source="skimage_train"), folder, True, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def traces() -> dict[Path, dict[str, Any]]:
    return traces_of(*METHODS)


@pytest.mark.parametrize("folder", METHODS, ids=[folder.name for folder in METHODS])
def test_a_shipped_method_conforms(
    folder: Path, store: Path, traces: dict[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same photos for all, prepared once, and one process to import all in.
    monkeypatch.setattr(Candidate, "store", store)
    monkeypatch.setattr(Candidate, "traces", traces[folder])
    outcomes = {outcome.check: outcome for outcome in check_method(folder)}
    failed = [str(outcome) for outcome in outcomes.values() if outcome.status == "failed"]
    assert not failed, "\n".join(failed)
    assert outcomes["description"].status == outcomes["import"].status == "ok"
    assert not [outcome for outcome in outcomes.values() if "relies on" in outcome.detail]
