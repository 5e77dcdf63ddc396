"""Score tables: whether they are whole, and say of each protocol what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from tvqsr.files import read_json
from tvqsr.report.scores import WHOLE_SET
from tvqsr.score.protocol import Protocol
from tvqsr.score.protocols import protocols
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.files import absent
from tvqsr.verify.outcome import MALFORMED, Finding, failed, ok, told_of, unchecked
from tvqsr.verify.records import made_images, of_this_version, part

SPARE = 1000
"""Rows of a score table beyond those expected that are still read, to say which they are."""
ROW_BYTES = 4096
"""Most bytes of a row; those of the suite have some hundreds."""
WORDS = ("title", "decimals", "colours", "rounding", "network")
"""What a version words or shows in its own way."""
FACTS = ("higher_is_better", "crop")
"""What no version may tell otherwise: it turns verdicts round, or is of other pixels."""


def protocols_on(bundle: Bundle, testset: str) -> dict[str, Protocol]:
    """What a test set is scored with, by name. Raises UserError for a protocol that this version does not know."""
    return {protocol.name: protocol for protocol in protocols(bundle.plan.protocols_on(testset), "plan.json")}


def too_large(bundle: Bundle) -> list[Finding]:
    """Score tables with far more rows or text than images and protocols can have; they are not to be read."""
    return [
        failed(bundle.place(path), f"{why}; it was not read, nor was anything checked after it")
        for entry, seed, testset in _made(bundle)
        if (path := bundle.plan.paths.scores(entry, seed, testset)).is_file()
        if (why := _why_too_large(path, _most(bundle, entry, seed, testset)))
    ]


def _made(bundle: Bundle) -> list[tuple[str, int, str]]:
    try:
        return [(entry.name, seed, testset) for entry, seed, testset in made_images(bundle)]
    except MALFORMED:  # A plan that contradicts itself: every check says so, and reads nothing.
        return []


def _most(bundle: Bundle, entry: str, seed: int, testset: str) -> int:
    """How many rows are more than enough."""
    images = part(bundle.plan.paths.images_record(entry, seed, testset), "images")
    return SPARE + 2 * (len(images) + 1) * len(bundle.plan.protocols_on(testset))


def _why_too_large(path: Path, most: int) -> str:
    try:
        about = pq.ParquetFile(path).metadata
    except MALFORMED:  # The check of the rows says so.
        return ""
    size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    if about.num_rows > most:
        return f"has {about.num_rows} rows, where {most} would be more than enough"
    return f"holds {size} bytes of {about.num_rows} rows" if size > ROW_BYTES * most else ""


def rows(bundle: Bundle) -> Iterator[Finding]:
    """Whether each score table has one row per image and protocol, none twice, none beyond."""
    for entry, seed, testset in made_images(bundle):
        path = bundle.plan.paths.scores(entry.name, seed, testset)
        subject = bundle.place(path)
        if missing := absent(bundle, "scores", path):
            yield missing
        else:
            yield from told_of(subject, _rows, bundle, entry.name, seed, testset, subject)


def _rows(bundle: Bundle, entry: str, seed: int, testset: str, subject: str) -> Iterator[Finding]:
    table = pd.read_parquet(bundle.plan.paths.scores(entry, seed, testset))
    if wrong := [
        key for key, value in (("entry", entry), ("seed", seed), ("testset", testset)) if (table[key] != value).any()
    ]:
        yield failed(subject, f"has rows of another {', '.join(wrong)}")
    if (table.value.isna() & table.reason.isna()).any():
        yield failed(subject, "has rows with neither a value nor a reason")
    cells = list(zip(table.image, table.protocol, strict=True))
    if len(set(cells)) != len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        yield failed(subject, f"has {twice[0]} under {twice[1]} twice")
    names = read_json(bundle.plan.paths.images_record(entry, seed, testset))["images"]
    known = protocols_on(bundle, testset)
    expected = {(name, protocol) for protocol in known for name in ((WHOLE_SET,) if known[protocol].of_set else names)}
    missing, beyond = sorted(expected - set(cells)), sorted(set(cells) - expected)
    for what, odd in (("lacks", missing), ("has, beyond what was to be scored,", beyond)):
        if odd:
            yield failed(
                subject, f"{what} {len(odd)} rows: {', '.join(f'{image} under {name}' for image, name in odd[:3])}"
            )
    if not missing and not beyond:
        yield ok(subject)
    same_version = of_this_version(bundle)
    for name, protocol in known.items():
        if len(mine := table[table.protocol == name]):
            yield from _told_of_itself(
                f"{subject}, {name}", mine, protocol.about(bundle.plan.crop_on(testset)), protocol, same_version
            )


def _told_of_itself(
    subject: str, rows: pd.DataFrame, about: dict[str, Any], protocol: Protocol, same_version: bool
) -> Iterator[Finding]:
    """Whether the rows of a protocol say of it what this version does: readers and verdicts go by what is stored."""
    own: dict[str, Any] = {
        "title": protocol.title,
        "higher_is_better": protocol.higher_is_better,
        "decimals": protocol.decimals,
    } | about
    for key in (*WORDS, *FACTS):
        if key not in rows:
            yield unchecked(subject, f"stored without its {key}, by another version")
        elif (odd := rows[key][rows[key] != own[key]]).size:
            why = f"has {key} `{odd.iloc[0]}`, where this version writes `{own[key]}`"
            yield failed(subject, why) if same_version or key in FACTS else unchecked(subject, why)
    if any(not _is_defined(told, protocol) for told in rows.definition):
        yield unchecked(subject, "is defined otherwise by the version that wrote the scores")


def _is_defined(told: str, protocol: Protocol) -> bool:
    """Whether a stored definition is this version's; of a whole set, a note on the set may follow it."""
    return told == protocol.definition or (protocol.of_set is not None and told.startswith(f"{protocol.definition}; "))
