"""The verdicts on the published claims, for a reader at the console or a script that asks whether any failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tvqsr.csv_files import AGAIN, read_csv
from tvqsr.errors import UserError
from tvqsr.plan.paths import PLAN_FILE, Paths
from tvqsr.plan.schema import suggestion
from tvqsr.report.counted import sources
from tvqsr.report.not_run import NO_ENTRY
from tvqsr.report.trainings import of_one

FAILED = ("differs", "ordering reversed", "reversed without interval")
"""Verdicts that speak against a claim."""
OPEN = ("not run",)
"""Verdicts that say nothing of it."""
OURS = "ours"
"""Trust of what nobody published: our own question. What it answers speaks against no publication."""
NEEDED = ("claim", "kind", "verdict", "measured", "reported", "why", "published_on", "tested_on")
ADDED = ("method", "entry", "also", "instead", "trust")
"""Columns that results of earlier versions do not have."""


def read_verdicts(place: Path) -> pd.DataFrame:
    """`claims.csv` of finished results, given by their folder or its `plan.json`; nothing else of them is read.

    Raises UserError if it is not there, or is no table of verdicts.
    """
    folder = place.parent if place.name == PLAN_FILE else place
    path = Paths(folder).claims
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the results of a preset that was run, such as results/mini")
    if not path.is_file():
        raise UserError(f"{path}: missing; `snakemake --cores all claims` of this preset makes it")
    verdicts = read_csv(path, dtype=str, keep_default_na=False)
    if lacking := [column for column in NEEDED if column not in verdicts]:
        raise UserError(f"{path}: lacks the column(s) {', '.join(lacking)}; {AGAIN}")
    return verdicts.assign(**{column: "" for column in ADDED if column not in verdicts})


def select(verdicts: pd.DataFrame, methods: Sequence[str], wanted: Sequence[str]) -> pd.DataFrame:
    """Rows of some methods or entries (all if none is named) with some verdicts (likewise).

    Raises UserError for a name that no row has.
    """
    names = [_names(row) for row in verdicts.to_dict("records")]
    for flag, asked, known in (
        ("--method", methods, {name for row in names for name in row}),
        ("--verdict", wanted, set(verdicts.verdict)),
    ):
        for name in asked:
            if name not in known:
                raise UserError(f"{flag}: no claim has `{name}`{suggestion(name, known)}")
    mine = [not methods or bool(row & set(methods)) for row in names]
    return verdicts[pd.Series(mine, index=verdicts.index, dtype=bool) & (verdicts.verdict.isin(wanted) | (not wanted))]


def failed(verdicts: pd.DataFrame) -> int:
    """How many published claims, or values, were run and do not hold; each number or ordering counts once."""
    return int(_fails(verdicts).sum())


def told(verdicts: pd.DataFrame, everything: bool) -> str:
    """Each claim that was run (`everything`: each there is), the failed ones last; and how many of each verdict."""
    shown = verdicts if everything else verdicts[~verdicts.verdict.isin(OPEN)]
    last = _fails(shown)
    lines = [_line(row) for part in (shown[~last], shown[last]) for row in part.to_dict("records")]
    rest = list(_wanting(verdicts)) if everything else list(_why_not(verdicts))
    return "\n".join([*lines, *([""] if lines else []), *rest, *_totals(verdicts)])


def _fails(verdicts: pd.DataFrame) -> pd.Series:
    return verdicts.verdict.isin(FAILED) & _counts(verdicts) & (verdicts.trust != OURS)


def _counts(verdicts: pd.DataFrame) -> pd.Series:
    """Of which rows no other one counts in their place."""
    return verdicts.instead == ""


def _totals(verdicts: pd.DataFrame) -> Iterator[str]:
    """What was published, and what only we ask, each counted for itself; the exit code is of the former."""
    ours = verdicts.trust == OURS
    if ours.any():
        yield f"Our own questions, which the exit code leaves out: {_total(verdicts[ours])}"
        yield f"Published claims: {_total(verdicts[~ours])}"
    else:
        yield _total(verdicts)


def _total(verdicts: pd.DataFrame) -> str:
    """How many of each verdict, and of what else was run that another row counts for."""
    counts = _counts(verdicts)
    beside = verdicts[~counts & ~verdicts.verdict.isin(OPEN)].verdict
    uncounted = f"; not counted, since other rows stand for them: {_counted(beside)}" if len(beside) else ""
    return f"{_counted(verdicts[counts].verdict) or 'no claims'}{uncounted}"


def _names(row: dict[Any, Any]) -> set[str]:
    """What a row can be asked for by: its method, the files that state it, and the entry whose value it is."""
    claims = [row["claim"], *(source["claim"] for source in sources(row["also"]))]
    return {name for name in (row["method"], row["entry"], *(claim.partition(".")[0] for claim in claims)) if name}


def _line(row: dict[Any, Any]) -> str:
    where = f" on {row['tested_on'] or row['published_on']}"
    told_of = f"{row['claim']}, {row['kind']}{where}: {row['measured']}; published: {row['reported']}"
    verdict = row["verdict"].upper() if _fails(pd.DataFrame([row])).all() else row["verdict"]
    verdict += of_one(row["why"])
    more = [f"not counted: {row['instead']} stands for it"] if row["instead"] else []
    more += [f"also {source['claim']} ({source['place']})" for source in sources(row["also"])]
    return "\n    ".join([f"{verdict}  {told_of}", row["why"], *more])


def _wanting(verdicts: pd.DataFrame) -> Iterator[str]:
    """Names under which outputs would be judged, and how many numbers were published of each."""
    waiting = verdicts[verdicts.why.str.startswith(NO_ENTRY)].entry
    if len(waiting):
        yield f"Published numbers wait for entries of these names: {_counted(waiting, '{name} ({count})')}"


def _why_not(verdicts: pd.DataFrame) -> Iterator[str]:
    """What keeps claims from being run, names left out, and how often."""
    left = verdicts[verdicts.verdict.isin(OPEN) & _counts(verdicts)]
    if len(left):
        reasons = [_nameless(row) for row in left.to_dict("records")]
        yield f"Not run, as `--everything` tells one by one:\n{_counted(reasons, '    {count} {name}', chr(10))}"


def _nameless(row: dict[Any, Any]) -> str:
    """A reason without the names in it, so that equal ones can be counted."""
    names = [re.escape(name) for name in (row["entry"], row["published_on"]) if name]
    return re.sub(rf"(?<=entry )\w+|\b({'|'.join(names) or '(?!)'})\b", "...", row["why"])


def _counted(names: Iterable[str], one: str = "{count} {name}", between: str = ", ") -> str:
    counts = pd.Series(list(names), dtype=str).value_counts()
    return between.join(one.format(name=name, count=count) for name, count in counts.items())
