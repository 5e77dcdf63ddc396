"""How far scores are from the official values and from pyiqa's: `python -m tests.benchmarks.calibration`.

Five pairs of TID2013, whole images, by the functions of `tests/test_score_calibration.py`, which asserts what is
written here. `error_official` and `error_pyiqa` are ours less theirs; where a number is lacking, `reason` says why.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd

from tests.calibration import IN_PYIQA, OFFICIAL, Row, rows
from tests.conftest import ROOT
from tvqsr.files import write_text
from tvqsr.plan.paths import BENCHMARKS


def main() -> None:
    """Write the table and print the largest errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=BENCHMARKS / "calibration.csv")
    parser.add_argument("--without", nargs="*", default=[], help="protocols left out (slow: pyiqa:cw_ssim, pyiqa:mad)")
    options = parser.parse_args()
    wanted = [name for name in dict.fromkeys((*OFFICIAL, *IN_PYIQA)) if name not in options.without]
    # Before pyiqa is imported, which reads it then.
    os.environ.setdefault("TORCH_HOME", str(ROOT.parent / "shared" / "weights" / "torch_home"))
    with redirect_stdout(sys.stderr):
        table = pd.DataFrame([_told(row) for protocol in wanted for row in rows(protocol)])
    write_text(options.csv, table.to_csv(index=False, float_format="%.6g"))
    errors = table.set_index("protocol")[["error_official", "error_pyiqa"]].abs()
    print(errors.groupby(level=0, sort=False).max().to_string(float_format="{:.1e}".format))


def _told(row: Row) -> dict[str, str | float | None]:
    return {
        "pair": row.pair,
        "protocol": row.protocol,
        "official": row.official,
        "ours": row.ours,
        "pyiqa": row.pyiqa,
        "error_official": row.off_official,
        "error_pyiqa": row.off_pyiqa,
        "reason": row.reason,
    }


if __name__ == "__main__":
    main()
