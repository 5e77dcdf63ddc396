"""Score tables: whether they are whole, and whether scoring some images again gives the same numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tvqsr.files import read_json, sha256
from tvqsr.plan.protocols import ABSENT, unavailable
from tvqsr.report.scores import WHOLE_SET
from tvqsr.score.pairs import score_pairs
from tvqsr.score.photos import Conditions, PairFiles
from tvqsr.score.protocol import Protocol
from tvqsr.score.protocols import protocols
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.files import image_file, photo_file, test_names
from tvqsr.verify.outcome import Finding, compared, failed, ok, told_of, unchecked
from tvqsr.verify.records import made_images


@dataclass(frozen=True)
class Sample:
    """How many images of every entry are scored again, and the seed that they are drawn with."""

    images: int
    seed: int


def protocols_on(bundle: Bundle, testset: str) -> dict[str, Protocol]:
    """What a test set is scored with, by name. Raises UserError for a protocol that this version does not know."""
    return {protocol.name: protocol for protocol in protocols(bundle.plan.protocols_on(testset), "plan.json")}


def rows(bundle: Bundle) -> Iterator[Finding]:
    """Whether each score table has one row per image and protocol, none twice, none beyond."""
    for entry, seed, testset in made_images(bundle):
        path = bundle.plan.paths.scores(entry.name, seed, testset)
        subject = bundle.place(path)
        if not bundle.holds["scores"]:
            yield unchecked(subject, "no scores in the bundle")
        elif not path.is_file():
            yield failed(subject, "missing, though other scores are there")
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


def again(bundle: Bundle, sample: Sample) -> Iterator[Finding]:
    """Whether some images of every entry, scored again from their PNGs, have the scores in the tables."""
    for entry, seed, testset in made_images(bundle):
        path = bundle.plan.paths.scores(entry.name, seed, testset)
        subject = f"{entry.name} seed {seed} on {testset}"
        if lacking := [kind for kind in ("photos", "images", "scores") if not bundle.holds[kind]]:
            yield unchecked(subject, f"no {', '.join(lacking)} in the bundle")
        elif not path.is_file():
            yield unchecked(subject, "its scores are missing")
        else:
            yield from told_of(subject, _again, bundle, entry.name, seed, testset, sample, subject)


def _again(bundle: Bundle, entry: str, seed: int, testset: str, sample: Sample, subject: str) -> Iterator[Finding]:
    pairs = _pairs(bundle, entry, seed, testset, sample)
    if not pairs:
        yield unchecked(subject, "its images or photos are missing or changed")
        return
    table = pd.read_parquet(bundle.plan.paths.scores(entry, seed, testset))
    known, wanted = protocols_on(bundle, testset), []
    for name, protocol in known.items():
        rows = table[table.protocol == name]
        why = _why_not(protocol, rows)
        if _is_left_out(rows, why):
            continue
        if why:
            yield unchecked(f"{subject}, {name}", why)
        else:
            wanted.append(protocol)
    cells = zip(table.image, table.protocol, strict=True)
    values = dict(zip(cells, table.value, strict=True))
    wrong = []
    for score in score_pairs(pairs, wanted, Conditions(bundle.plan.crop_on(testset))):
        stored = float(values.get((score.image, score.protocol), float("nan")))
        found = float("nan") if score.value is None else score.value
        if not _same(stored, found, known[score.protocol]):
            wrong.append(f"{score.image} under {score.protocol} is {found:.6g}, the table has {stored:.6g}")
    if wanted:
        yield compared(f"{subject} ({', '.join(name for name, _, _ in pairs)})", not wrong, "; ".join(wrong))


def _pairs(bundle: Bundle, entry: str, seed: int, testset: str, sample: Sample) -> list[PairFiles]:
    """A draw of an entry's images whose files are as recorded, with their photos."""
    photos, recorded = (
        test_names(bundle, testset) or {},
        read_json(bundle.plan.paths.images_record(entry, seed, testset)),
    )
    found: list[PairFiles] = []
    names = sorted(photos.keys() & recorded["images"].keys())
    # Another draw for each entry and seed, and the same whenever it is asked for.
    random.Random(f"{sample.seed} {entry} {seed} {testset}").shuffle(names)  # noqa: S311 (a draw of images)
    for name in names[: sample.images]:
        image = image_file(bundle, entry, seed, testset, name)
        photo = photo_file(bundle, testset, "hr", name) if "hr_sha256" in photos[name] else None
        expected = [(image, recorded["images"][name]["sha256"])] + (
            [(photo, photos[name]["hr_sha256"])] if photo else []
        )
        if all(path.is_file() and sha256(path) == digest for path, digest in expected):
            found.append((name, image, photo))
    return found


def _is_left_out(rows: pd.DataFrame, why: str | None) -> bool:
    """Whether there is no number to check: n/a there for want of weights, or n/a there and not scored here."""
    absent = rows.reason.fillna("").str.startswith(ABSENT).all()
    return bool(len(rows) and rows.value.isna().all() and (absent or why))


def _why_not(protocol: Protocol, rows: pd.DataFrame) -> str | None:
    """Why a protocol of the stored rows is not scored again, or None."""
    if protocol.of_set:
        return "is of the whole set, and a sample is scored"
    if protocol.autoencoded:
        return "looks through a network that is trained, which is not run"
    if (rows.definition != protocol.definition).any():
        return "is defined otherwise by the version that wrote the scores"
    return "weights of this metric are not on this machine" if unavailable(protocol.name, downloads=False) else None


def _same(stored: float, found: float, protocol: Protocol) -> bool:
    """Equal but for rounding: of a formula, to a hundredth of what tables show; of a network, to what they show."""
    digits = protocol.decimals + (0 if protocol.load else 2)
    return bool(np.isclose(stored, found, rtol=0, atol=10.0**-digits, equal_nan=True))
