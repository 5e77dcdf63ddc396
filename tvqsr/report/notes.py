"""What is said under a table: what its columns are, what is n/a and why, and how its marks came about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from tvqsr.report.cells import shown_protocols
from tvqsr.report.marks import mark_notes
from tvqsr.report.scores import MEASURES

DETAILS = ("colours", "rounding", "network")
"""What is told of a protocol beside its definition and crop, where the definition does not say the same."""
NAMED = 3
"""Entries that are named where there may be many."""
STANDARD_ERROR = (
    "SE is the standard error over images, each left out with all its patches; of several seeds the mean of theirs, "
    "since all see the same images"
)


def notes(summary: pd.DataFrame) -> list[str]:
    """A line for each column that says what it is, and lines on what is n/a, on standard errors and on marks."""
    lines = []
    for protocol in shown_protocols(summary):
        rows = summary[summary.protocol == protocol]
        title = rows.title.iloc[0]
        lines.append(f"{title} (`{protocol}`): {protocol_told(rows)}.")
        if rows["mean"].isna().all():
            lines.append(f"{title} is n/a: {rows.reason.iloc[0]}.")
        lines += _incomplete(rows)
    marks = mark_notes(summary, rivals(summary)) if "mark" in summary else ()
    return [*lines, *_libraries(summary), *error_notes(summary), *marks]


def rivals(summary: pd.DataFrame) -> list[str]:
    """Entries that may be best: those that were not shown HR."""
    return list(dict.fromkeys(summary.entry[summary.reads == "lr"]))


def protocol_told(rows: pd.DataFrame, details: Sequence[str] = DETAILS) -> str:
    """Definition and crop of a protocol, whose rows are given, and those `details` that the definition does not tell.

    Entries whose scores say otherwise than the first's are named.
    """
    measured = rows[rows["mean"].notna()]
    told = measured if len(measured) else rows.iloc[:1]
    crop = f", crop {told.crop.iloc[0]}" if told.crop.iloc[0] else ""
    definition = told.definition.iloc[0]
    parts = [_of_entries(told, "definition") + crop]
    for detail in details:
        value = told[detail].iloc[0] if detail in told else None
        if isinstance(value, str) and value != "none" and value not in definition:
            parts.append(_of_entries(told, detail))
    return "; ".join(parts)


def _of_entries(rows: pd.DataFrame, key: str) -> str:
    """A value, and in brackets those of entries that have another."""
    first, *others = rows.groupby(key, sort=False).entry
    different = "; ".join(f"{_names(list(entries))}: {value}" for value, entries in others)
    return str(first[0]) + (f" ({different})" if different else "")


def incomplete_notes(summary: pd.DataFrame) -> list[str]:
    """Where entries have fewer images scored than there are photos, and why."""
    of_each = (_incomplete(summary[summary.protocol == protocol]) for protocol in shown_protocols(summary))
    return [line for lines in of_each for line in lines]


def _incomplete(rows: pd.DataFrame) -> Iterator[str]:
    """Of a protocol, whose rows are given; not where nobody has a number, nor of measures of codebooks."""
    if rows["mean"].isna().all() or rows.protocol.iloc[0] in MEASURES:
        return
    for (lacking, photos, reason), entries in rows[rows.lacking > 0].groupby(["lacking", "photos", "reason"]).entry:
        who = "every entry" if len(entries) == len(rows) > 1 else _names(list(entries))
        yield f"{rows.title.iloc[0]} is n/a for {lacking} of {photos} photos of {who}: {reason}."


def _libraries(summary: pd.DataFrame) -> list[str]:
    """Versions of all that computed the numbers; which of them computes what is in the CSV."""
    measured = summary[summary["mean"].notna() & summary.library.notna()]
    versions: dict[str, dict[str, list[str]]] = {}
    for entry, libraries in zip(measured.entry, measured.library, strict=True):
        for library in libraries.split(", "):
            name, _, version = library.rpartition(" ")
            versions.setdefault(name, {}).setdefault(version, []).append(entry)
    told = [f"{name} {_of_versions(entries)}" for name, entries in sorted(versions.items())]
    return [f"Computed with {', '.join(told)}."] if told else []


def _of_versions(entries: dict[str, list[str]]) -> str:
    """The version of the first entry, and in brackets others with theirs."""
    (first, _), *others = entries.items()
    different = "; ".join(f"{_names(list(dict.fromkeys(names)))}: {version}" for version, names in others)
    return first + (f" ({different})" if different else "")


def _names(entries: Sequence[str]) -> str:
    more = len(entries) - NAMED
    named = ", ".join(f"`{entry}`" for entry in entries[: NAMED if more > 0 else None])
    return f"{named} and {more} more" if more > 0 else named


def error_notes(summary: pd.DataFrame) -> list[str]:
    """What the standard error of a score of the whole set is, where there is one."""
    if "error" not in summary or summary.error.isna().all():
        return []
    titles = dict.fromkeys(summary.title[summary.error.notna()])
    return [f"{', '.join(titles)}: {STANDARD_ERROR}."]
