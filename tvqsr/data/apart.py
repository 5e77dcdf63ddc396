"""No test photo in a training set: each training set compared with the test sets, the record of it, and its refusal.

The comparison only records what it finds, whatever it is. What is trained on a set, and what is made with it, refuses
what the preset does not allow by name (`may_share`); so a permission given later makes nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvqsr.console import say
from tvqsr.data.overlap import ALIKE, BLIND_TO, Photo, find_shared, prepared_photos, sign
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256, write_json, written_beside
from tvqsr.plan import Plan
from tvqsr.plan.digest import digest, source_digest
from tvqsr.plan.folders import named_images


def check_overlap(plan: Plan, dataset: str, threads: int, report: Callable[[str], None]) -> None:
    """Write `overlap.json` of a prepared training set: its photos in the test sets of what is trained on it.

    Raises UserError if one of the sets is not prepared.
    """
    plan.dataset(dataset)
    folder = plan.paths.dataset(dataset)
    photos = prepared_photos(folder)
    signatures = stored_signatures(folder, photos, threads, report)
    unreadable = [photo.name for photo, known in zip(photos, signatures["readable"], strict=True) if not known]
    testsets: dict[str, Any] = {}
    for testset in plan.kept_apart(dataset):
        tests = prepared_photos(plan.paths.dataset(testset))
        shared, missed = find_shared(photos, signatures, tests, threads)
        pairs = [vars(pair) for pair in shared]
        testsets[testset] = {"photos": len(tests), "unreadable": missed, "shared": pairs}
        report(f"{len({pair.training for pair in shared})} of {len(photos)} photos are in {testset} ({len(tests)})")
    record = {"photos": len(photos), "unreadable": unreadable, "alike_from": ALIKE, "blind_to": BLIND_TO}
    write_json(plan.paths.overlap(dataset), record | {"test_sets": testsets})


def stored_signatures(
    folder: Path, photos: Sequence[Photo], threads: int, report: Callable[[str], None]
) -> NDArray[np.void]:
    """Signatures (N,) of a prepared set, made once for the same manifest, files and code.

    So a test set that is added reads no training photo again, but for those that need a second look.
    """
    files = [_state(photo.path) for photo in photos if photo.path]
    key = digest([sha256(folder / "manifest.json"), files, source_digest(Path(__file__).with_name("overlap.py"))])
    path = folder / f"signatures.{key}.npy"
    stored = _stored(path, len(photos))
    if stored is None:
        for old in folder.glob("signatures.*.npy"):
            old.unlink()
        made = sign(photos, threads, report)
        with written_beside(path) as beside, beside.open("wb") as file:
            np.save(file, made)
        stored = _stored(path, len(photos))
        assert stored is not None
    return stored


def _stored(path: Path, count: int) -> NDArray[np.void] | None:
    """Signatures of so many photos; None where the file is absent or damaged."""
    try:
        stored: NDArray[np.void] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    return stored if stored.shape == (count,) else None


def refuse_shared(plan: Plan, dataset: str) -> None:
    """Raise UserError if photos of a training set are in test sets that it may not share any with."""
    path = plan.paths.overlap(dataset)
    if not path.is_file():
        # Only where a step is called by hand: the workflow makes the record before whatever reads it.
        say(f"[{dataset}] not compared with the test sets; `tvqsr check-overlap {plan.paths.root} {dataset}` does")
        return
    allowed = plan.dataset(dataset).may_share
    refused = [(testset, pair) for testset, pair in _pairs(read_json(path)) if testset not in allowed]
    if not refused:
        return
    named = ", ".join(f"`{pair['training']}` is `{pair['test']}` of {testset}" for testset, pair in refused[:3])
    sets = list(dict.fromkeys([*allowed, *(testset for testset, _ in refused)]))
    count = _photos(len({pair["training"] for _, pair in refused}))
    raise UserError(
        f"{path}: {count} of `{dataset}` in test sets: {named}{', ...' if refused[3:] else ''}; remove them from the "
        f"training photos, or allow it in the preset: `datasets: {{{dataset}: {{may_share: [{', '.join(sets)}]}}}}`"
    )


def told(plan: Plan) -> list[str]:
    """A sentence for each pair of a training set and test sets, as far as they were compared."""
    paths = {dataset: plan.paths.overlap(dataset) for dataset in plan.trained_on}
    return [line for dataset, path in paths.items() if path.is_file() for line in _told(dataset, read_json(path))]


def _told(dataset: str, record: dict[str, Any]) -> Iterator[str]:
    shared = {testset: {pair["training"] for pair in found["shared"]} for testset, found in record["test_sets"].items()}
    for testset, photos in shared.items():
        if photos:
            yield f"{_photos(len(photos))} of {dataset} in {testset}: allowed by the preset."
    if apart := [testset for testset, photos in shared.items() if not photos]:
        yield (
            f"None of the {record['photos']} photos of {dataset} is in {', '.join(apart)}, by its file or by its "
            f"looks; not seen are {record['blind_to']}."
        )
    unread = len(record["unreadable"]) + sum(len(found["unreadable"]) for found in record["test_sets"].values())
    if unread:
        yield f"{_photos(unread)} of {dataset} or of those sets not compared, since damaged."


def _pairs(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for testset, found in record["test_sets"].items():
        for pair in found["shared"]:
            yield testset, pair


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _state(path: Path) -> list[int]:
    """Size and time of change of a photo's file; nothing of one that is gone."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def compare_folders(training: Path, testing: Path, threads: int, report: Callable[[str], None]) -> str:
    """A table of the photos that two folders share; empty if they share none.

    Raises UserError for a folder without photos.
    """
    import pandas as pd

    mine, theirs = (
        [Photo(name, file) for name, file in named_images(folder).items()] for folder in (training, testing)
    )
    signatures = sign(mine, threads, report)
    shared, missed = find_shared(mine, signatures, theirs, threads)
    unread = [photo.name for photo, known in zip(mine, signatures["readable"], strict=True) if not known]
    for name, folder in [*((name, training) for name in unread), *((name, testing) for name in missed)]:
        report(f"{folder}: {name} cannot be read and was not compared")
    count = len({pair.training for pair in shared})
    report(f"{count} of {len(mine)} photos of {training} are in {testing} ({len(theirs)}); not seen are {BLIND_TO}")
    table = pd.DataFrame([vars(pair) for pair in shared])
    return "" if table.empty else str(table.to_markdown(index=False))
