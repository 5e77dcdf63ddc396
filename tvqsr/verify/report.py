"""What is made from scores and records: tables and costs, made again and compared; the page; the overlaps."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from tvqsr.data.apart import refuse_shared
from tvqsr.files import read_json
from tvqsr.report.efficiency import efficiency_texts
from tvqsr.report.scores import load_scores
from tvqsr.report.tables import KINDS, table_texts
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.cells import Cell, absent_cells, cells_of
from tvqsr.verify.outcome import NAMED, Finding, compared, failed, ok, told_of, unchecked
from tvqsr.verify.records import of_this_version

NO_SCORES = "no scores in the bundle to make it of"
OTHER_LAYOUT = "is laid out otherwise by the version that wrote it"
OTHER_WORDS = "is worded otherwise by the version that wrote it"


def tables(bundle: Bundle) -> Iterator[Finding]:
    """Whether each table is what the scores give."""
    for name in bundle.plan.tables:
        for testset in bundle.plan.table_sets(name):
            subject = f"{name} on {testset}"
            if bundle.holds["scores"]:
                yield from told_of(subject, _table, bundle, name, testset)
            else:
                yield unchecked(subject, NO_SCORES)


def _table(bundle: Bundle, name: str, testset: str) -> Iterator[Finding]:
    scores = load_scores(bundle.plan, bundle.plan.tables[name].entries)
    csv = bundle.plan.paths.table(name, testset, "csv")
    # Versions before that column had intervals of few images by bootstrap, too.
    earlier = csv.is_file() and "interval" not in pd.read_csv(csv, nrows=0) and not of_this_version(bundle)
    made = table_texts(bundle.plan, name, testset, scores, bootstrap=earlier)
    cells = cells_of(bundle.plan, made["csv"])
    for kind in KINDS:
        path = bundle.plan.paths.table(name, testset, kind)
        yield _stored(bundle, path, kind, made[kind], cells)


def _stored(bundle: Bundle, path: Path, kind: str, made: str, cells: Sequence[Cell] = ()) -> Finding:
    subject, same_version = bundle.place(path), of_this_version(bundle)
    if path.is_file():
        return same_table(subject, kind, path.read_text(encoding="utf-8"), made, same_version, cells)
    return failed(subject, "missing") if same_version else unchecked(subject, "not in the bundle, of another version")


def same_table(
    subject: str, kind: str, stored: str, made: str, same_version: bool, cells: Sequence[Cell] = ()
) -> Finding:
    """Whether a stored table says what one made again does, line by line.

    Where another version of the suite lays it out otherwise, its CSV is compared by the columns that both have, and in
    its other forms the means, `cells`, are looked for; where it only words captions and notes otherwise, the lines of
    numbers are compared.
    """
    if stored == made:
        return ok(subject)
    if kind == "csv":
        return _same_csv(subject, pd.read_csv(io.StringIO(stored)), pd.read_csv(io.StringIO(made)), same_version)
    if _layout(stored, kind) != _layout(made, kind):
        return _other_layout(subject, kind, stored, made, same_version, cells)
    if wrong := _first_difference(_body(stored, kind), _body(made, kind)):
        return failed(subject, f"is not what the scores give: {wrong}")
    if wrong := _first_difference(*([_plain(line) for line in text.splitlines()] for text in (stored, made))):
        return (
            failed(subject, f"is not what is written here: {wrong}")
            if same_version
            else unchecked(subject, OTHER_WORDS)
        )
    return ok(subject)


def _other_layout(
    subject: str, kind: str, stored: str, made: str, same_version: bool, cells: Sequence[Cell]
) -> Finding:
    if same_version:
        wrong = _first_difference(_layout(stored, kind), _layout(made, kind))
        return failed(subject, f"is not laid out as here: {wrong}")
    if absent := absent_cells(cells, stored, _mark(kind)):
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        return failed(subject, f"{OTHER_LAYOUT}, and lacks {', '.join(map(str, absent[:NAMED]))}{more}")
    told = "the means of the CSV are in it" if cells else "its numbers were not compared"
    return unchecked(subject, f"{OTHER_LAYOUT}; {told}")


def _same_csv(subject: str, stored: pd.DataFrame, made: pd.DataFrame, same_version: bool) -> Finding:
    if wrong := _cells_that_differ(stored, made):
        return failed(subject, f"is not what the scores give: {wrong}")
    if other := sorted(set(stored.columns) ^ set(made.columns)):
        why = f"has other columns than are written here ({', '.join(other)}); those that both have agree"
        return failed(subject, why) if same_version else unchecked(subject, why)
    return ok(subject)


def _first_difference(stored: list[str], made: list[str]) -> str:
    """The first line in which two texts differ, in words; empty if they agree."""
    for one, other in zip_longest(stored, made, fillvalue="(no line)"):
        if one != other:
            return f"`{one[:120]}` instead of `{other[:120]}`"
    return ""


def _cells_that_differ(stored: pd.DataFrame, made: pd.DataFrame) -> str:
    """The first difference between two tables, in words; empty if they agree."""
    if len(stored) != len(made):
        return f"{len(stored)} rows instead of {len(made)}"
    for column in made.columns.intersection(stored.columns):
        one, other = stored[column], made[column]
        if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
            same = np.isclose(one.astype(float), other.astype(float), rtol=1e-6, atol=1e-9, equal_nan=True)
        else:
            same = (one.fillna("").astype(str) == other.fillna("").astype(str)).to_numpy()
        if not same.all():
            row = int(np.argmin(same))
            return f"row {row + 1}, {column}: {one[row]} instead of {other[row]}"
    return ""


def _layout(text: str, kind: str) -> list[str]:
    """The lines that say how a table is laid out: its columns."""
    if kind == "md":
        return [_plain(line) for line in text.splitlines() if line.startswith("|")][:1]
    return re.findall(r"\\toprule\n(.*)", text)


def _body(text: str, kind: str) -> list[str]:
    return [_plain(line) for line in text.splitlines() if _mark(kind) in line]


def _mark(kind: str) -> str:
    """What parts the cells of a row."""
    return "|" if kind == "md" else "&"


def _plain(line: str) -> str:
    return " ".join(line.split())


def costs(bundle: Bundle) -> Iterator[Finding]:
    """Whether the table of costs is what the measurements give."""
    if not bundle.plan.preset.efficiency:
        return
    yield from told_of("costs", _costs, bundle)


def _costs(bundle: Bundle) -> Iterator[Finding]:
    for kind, made in efficiency_texts(bundle.plan).items():
        yield _stored(bundle, bundle.plan.paths.efficiency_table(kind), kind, made)


def presentation(bundle: Bundle) -> Iterator[Finding]:
    """Whether the page and the figures are there; they are not drawn again."""
    paths = bundle.plan.paths
    for path in (paths.report, *(paths.figure(name, "png") for name in bundle.plan.figures)):
        subject = bundle.place(path)
        yield (
            unchecked(subject, "is there, but not made again")
            if path.is_file()
            else unchecked(subject, "not in the bundle")
        )


def overlaps(bundle: Bundle) -> Iterator[Finding]:
    """Whether every training set was compared with the test sets, and none of its photos is a test photo."""
    for dataset in bundle.plan.trained_on:
        path = bundle.plan.paths.overlap(dataset)
        if path.is_file():
            yield from told_of(bundle.place(path), _overlap, bundle, dataset)
        elif bundle.plan.paths.manifest(dataset).is_file():
            yield failed(bundle.place(path), "missing: not compared with the test sets")
        else:
            yield unchecked(bundle.place(path), "not in the bundle")


def _overlap(bundle: Bundle, dataset: str) -> Iterator[Finding]:
    path = bundle.plan.paths.overlap(dataset)
    refuse_shared(bundle.plan, dataset)
    lacking = sorted(set(bundle.plan.kept_apart(dataset)) - read_json(path)["test_sets"].keys())
    allowed = sum(len(found["shared"]) for found in read_json(path)["test_sets"].values())
    if allowed:
        yield unchecked(
            f"{dataset}: {allowed} pairs", "are test photos among those trained on, which the preset allows"
        )
    yield compared(bundle.place(path), not lacking, f"{dataset} was not compared with {', '.join(lacking)}")
