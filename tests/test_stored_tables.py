"""Tables read back: what is not there, damaged or of an earlier version is told in a line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, Command
from tests.test_report import scores_of
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.report.stored import NEEDED, read_table
from tvqsr.report.tables import table_summary


def test_a_table_is_read_as_it_was_written(tiny_plan: Plan, tmp_path: Path) -> None:
    summary = table_summary(tiny_plan, tiny_plan.tables["main"], scores_of(tiny_plan, {"bicubic": [20.0, 30.0]}))
    path = tmp_path / "main.csv"
    summary.to_csv(path, index=False)
    assert read_table(path)["mean"].dropna().tolist() == summary["mean"].dropna().tolist() != []


@pytest.mark.parametrize("column", NEEDED)
def test_a_column_that_is_lacking_is_named(column: str, tmp_path: Path) -> None:
    path = tmp_path / "main.csv"
    pd.DataFrame(columns=[name for name in NEEDED if name != column]).to_csv(path, index=False)
    with pytest.raises(UserError, match=rf"main\.csv: lacks the column\(s\) {column}: .* run snakemake again"):
        read_table(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "main.photos_test.csv: missing; run snakemake"),
        (lambda path: path.write_text(""), "main.photos_test.csv: damaged (No columns to parse from file); delete it"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "main.photos_test.csv: damaged ("),
        (lambda path: path.write_text("entry,protocol\n"), "main.photos_test.csv: lacks the column(s) title, "),
    ],
)
def test_the_page_names_a_table_that_it_cannot_read(
    spoil: Callable[[Path], object], message: str, tmp_path: Path, tvqsr: Command
) -> None:
    results = tmp_path / "mini"
    shutil.copytree(ROOT / "results/published/mini", results)
    spoil(results / "tables/main.photos_test.csv")
    done = tvqsr("report", results)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
