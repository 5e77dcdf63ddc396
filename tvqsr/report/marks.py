"""Best and second best of a column of a table, marked only where that is decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from tvqsr.report.paired import leads
from tvqsr.report.scores import MEASURES, WHOLE_SET
from tvqsr.report.trainings import ONCE, UNKNOWN
from tvqsr.statistics import LEVEL, holm

MARKS = ("best", "second")
RULE = (
    "Bold is best, underlined second best, of the entries that read LR: ahead of each other one (of each but the best) "
    "with a paired 95% bootstrap interval over images that excludes zero, in every seed alone, and by the sign test "
    f"over images at {LEVEL:.0%} after Holm's correction over these pairs. What is not marked is not decided."
)


def marked(summary: pd.DataFrame, scores: pd.DataFrame, rivals: Collection[str]) -> pd.DataFrame:
    """A table's summary with the column `mark`: `best`, `second` or empty.

    `scores` are of its entries on its test set, `rivals` the entries that may be marked.
    """
    found = {
        (entry, str(protocol)): mark
        for protocol, rows in scores.groupby("protocol", sort=False)
        if _is_ranked(rows)
        for entry, mark in marks(rows, rivals).items()
    }
    column = [found.get(cell, "") for cell in zip(summary.entry, summary.protocol, strict=True)]
    return summary.assign(mark=column)


def marks(scores: pd.DataFrame, rivals: Collection[str]) -> dict[str, str]:
    """Entry -> mark, of the rivals' scores under one protocol on one test set.

    The best is the rival of the best mean if its lead over every other is decided (`Lead.decided`), most images are in
    its favour, and the sign tests of these leads all are below `LEVEL` after Holm's correction; the second likewise
    among those that the best leaves, and only if there is a best. That all leads are asked for keeps the marks of a
    column within `LEVEL` even without correction (an intersection-union test, then one after the other); with it, each
    single lead that a mark asserts is, too. The sign test is exact for any number of images: of five it reaches no 5%.
    """
    measured = scores[scores.entry.isin(rivals)].dropna(subset=["value"])
    found: dict[str, str] = {}
    for mark in MARKS:
        left = measured[~measured.entry.isin(found)]
        leader = _leader(left)
        if leader is None:
            break
        found[leader] = mark
    return found


def too_few(images: int, rivals: int) -> bool:
    """Whether no lead over that many images can be decided, were it the largest, against `rivals - 1` others."""
    return rivals > 1 and 2.0 ** (1 - images) * (rivals - 1) > LEVEL


def mark_notes(summary: pd.DataFrame, rivals: Collection[str]) -> list[str]:
    """How a table's marks came about, and where there could be none."""
    shown = summary[summary.entry.isin(rivals) & summary["mean"].notna() & ~summary.protocol.isin(list(MEASURES))]
    notes = []
    of_images = shown[shown.low.notna()]
    for images in sorted(set(of_images.images)):
        there = of_images[of_images.images == images]
        count = int(there.groupby("protocol").entry.nunique().max())
        if too_few(int(images), count):
            notes.append(
                f"Too few images to mark a best: of {images}, and with {count} entries that read LR, the sign test "
                f"cannot reach {LEVEL:.0%} after Holm's correction."
            )
        elif count > 1:
            notes.append(RULE)
    if once := _once(shown):
        notes.append(once)
    without = shown[shown.low.isna() & shown.images.eq(1)]
    if whole := list(dict.fromkeys(without[without.photos.eq(0)].title)):
        notes.append(f"{', '.join(whole)}: one number for the whole set has no interval over images and is not marked.")
    if single := list(dict.fromkeys(without[without.photos.gt(0)].title)):
        notes.append(f"{', '.join(single)}: of one photo there is no interval, and nothing is marked.")
    return list(dict.fromkeys(notes))


def _once(shown: pd.DataFrame) -> str:
    """What marks cannot tell where a rival was trained but once; empty where there are none, or all had more seeds."""
    if "trainings" not in shown or not shown.get("mark", pd.Series(dtype=str)).isin(MARKS).any():
        return ""
    counts = shown.drop_duplicates("entry").set_index("entry").trainings
    once, trained = list(counts.index[counts.eq(1)]), counts[counts.gt(0)]
    if not once:
        return ""
    whose = "each" if len(once) == len(trained) else f"of {', '.join(f'`{entry}`' for entry in once)}"
    return f"{ONCE.capitalize()} {whose}: {UNKNOWN}. Marks tell these trainings apart, not yet their methods."


def _is_ranked(rows: pd.DataFrame) -> bool:
    """Whether scores can be ranked image by image; what describes a codebook is no merit."""
    return str(rows.protocol.iloc[0]) not in MEASURES and not rows.image.eq(WHOLE_SET).any()


def _leader(measured: pd.DataFrame) -> str | None:
    """The entry whose lead over every other is decided, if there is one."""
    means = measured.groupby(["entry", "image"], sort=False).value.mean().groupby("entry", sort=False).mean()
    if len(means) < 2:
        return None
    leader = str(means.idxmax() if bool(measured.higher_is_better.iloc[0]) else means.idxmin())
    others = [str(name) for name in means.index if name != leader]
    return leader if _all_decided(measured, leader, others) else None


def _all_decided(measured: pd.DataFrame, leader: str, others: Sequence[str]) -> bool:
    found = leads(measured, [(leader, other) for other in others])
    # The sign tests first: they cost nothing, and mostly decide.
    if len(found) < len(others):
        return False
    return max(holm([lead.p for lead in found])) <= LEVEL and all(lead.most == lead.decided == 1 for lead in found)
