"""Tables read back from their CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tvqsr.csv_files import AGAIN, read_csv
from tvqsr.errors import UserError
from tvqsr.report.scores import ABOUT

NEEDED = (*ABOUT, *("mean", "low", "high", "seed_sd", "images", "photos", "lacking", "reason", "reads"))
"""Columns that tables, their notes and plots are made of."""


def read_table(path: Path) -> pd.DataFrame:
    """A table as `table_summary` made it, one row per entry and protocol.

    Raises UserError if it is not there, damaged, or written by a version that knew less.
    """
    table = read_csv(path)
    if lacking := [column for column in NEEDED if column not in table]:
        raise UserError(f"{path}: lacks the column(s) {', '.join(lacking)}: another version of tvqsr wrote it; {AGAIN}")
    return table
