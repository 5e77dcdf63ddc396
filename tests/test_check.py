"""Whether the published claims hold, told at the console and by the exit code."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command
from tvqsr.plan import Plan

COLUMNS = ["claim", "kind", "verdict", "measured", "reported", "why", "published_on", "tested_on"]


def write(results: Path, *verdicts: str) -> None:
    rows = [
        [f"m.c{number}", "ordering", verdict, f"a {number}.5", "b 1", f"because {number}", "set", "photos"]
        for number, verdict in enumerate(verdicts)
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(results / "claims.csv", index=False)


@pytest.mark.parametrize("verdict", ["ordering holds", "reproduced", "undecided", "holds without interval", "not run"])
def test_what_does_not_speak_against_a_claim_passes(results: Path, tvqsr: Command, verdict: str) -> None:
    write(results, "ordering holds", verdict)
    assert tvqsr("check", results).returncode == 0


@pytest.mark.parametrize("verdict", ["differs", "ordering reversed", "reversed without interval"])
def test_a_claim_that_was_run_and_fails_is_told_last_and_by_the_exit_code(
    results: Path, tvqsr_alone: Command, verdict: str
) -> None:
    write(results, verdict, "ordering holds", "not run")
    done = tvqsr_alone("check", results)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "ordering holds  m.c1, ordering on photos: a 1.5; published: b 1"
    assert lines[2] == f"{verdict.upper()}  m.c0, ordering on photos: a 0.5; published: b 1"
    assert lines[3] == "    because 0"
    assert f"1 {verdict}" in lines[-1]
    assert "m.c2" not in done.stdout


def test_claims_that_were_not_run_are_told_on_request(results: Path, tvqsr: Command) -> None:
    write(results, "not run")
    assert "m.c0" not in tvqsr("check", results).stdout
    assert "because 0" in tvqsr("check", results, "--all").stdout


def test_unfinished_results_say_what_makes_them(tiny_plan: Plan, results: Path, tvqsr: Command) -> None:
    done = tvqsr("check", results)
    assert done.returncode == 2
    assert "claims.csv: missing" in done.stderr
