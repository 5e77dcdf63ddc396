"""Whether scoring images again gives the numbers in the score tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tvqsr.plan.protocols import ABSENT, unavailable
from tvqsr.score.pairs import score_pairs
from tvqsr.score.photos import Conditions, PairFiles
from tvqsr.score.protocol import Protocol
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.outcome import Finding, compared, told_of, unchecked
from tvqsr.verify.pixels import size_of, sound_image, sound_pair
from tvqsr.verify.records import made_images, part
from tvqsr.verify.sample import Sample, drawn
from tvqsr.verify.scores import protocols_on

SET_IMAGES = 300
"""Most images of a set that is scored again as a whole."""
NAMED = 3
"""Most images that a finding names."""


@dataclass(frozen=True)
class Scored:
    """A folder of images with its score table."""

    entry: str
    seed: int
    testset: str

    def __str__(self) -> str:
        return f"{self.entry} seed {self.seed} on {self.testset}"


def again(bundle: Bundle, sample: Sample) -> Iterator[Finding]:
    """Whether the images of every entry, scored again from their PNGs, have the scores in the tables."""
    not_drawn: Counter[str] = Counter()
    for entry, seed, testset in made_images(bundle):
        what = Scored(entry.name, seed, testset)
        if lacking := [kind for kind in ("photos", "images", "scores") if not bundle.holds[kind]]:
            yield unchecked(str(what), f"no {', '.join(lacking)} in the bundle")
        elif not bundle.plan.paths.scores(entry.name, seed, testset).is_file():
            yield unchecked(str(what), "its scores are missing")
        else:
            yield from told_of(str(what), _again, bundle, what, sample, not_drawn)
    for protocol, images in not_drawn.items():
        yield unchecked(f"{images} images under {protocol}", f"{sample.images} of every entry are drawn (`--sample N`)")


def _again(bundle: Bundle, what: Scored, sample: Sample, not_drawn: Counter[str]) -> Iterator[Finding]:
    pairs = _pairs(bundle, what)
    if not pairs:
        yield unchecked(str(what), "its images or photos are missing or changed")
        return
    table = pd.read_parquet(bundle.plan.paths.scores(what.entry, what.seed, what.testset))
    known = protocols_on(bundle, what.testset)
    yield from _compared(bundle, what, pairs, table, [protocol for protocol in known.values() if _by_formula(protocol)])
    networks: list[Protocol] = []
    sets: list[Protocol] = []
    recorded = part(bundle.plan.paths.images_record(what.entry, what.seed, what.testset), "images")
    for protocol in (protocol for protocol in known.values() if not _by_formula(protocol)):
        if (why := _why_not(protocol, table[table.protocol == protocol.name], sample)) or (
            protocol.of_set and (why := _why_not_set(len(pairs), len(recorded)))
        ):
            yield unchecked(f"{what}, {protocol.name}", why)
        else:
            (sets if protocol.of_set else networks).append(protocol)
    some = drawn(pairs, f"{what.entry} {what.seed} {what.testset}", sample.seed, sample.images)
    if len(some) < len(pairs):
        not_drawn.update({protocol.name: len(pairs) - len(some) for protocol in networks})
    yield from _compared(bundle, what, some, table, networks)
    yield from _compared(bundle, what, pairs, table, sets)


def _pairs(bundle: Bundle, what: Scored) -> list[PairFiles]:
    """An entry's images whose files are as recorded, with their photos."""
    photos = test_names(bundle, what.testset) or {}
    recorded = part(bundle.plan.paths.images_record(what.entry, what.seed, what.testset), "images")
    found: list[PairFiles] = []
    for name in sorted(photos.keys() & recorded.keys()):
        image = sound_image(bundle, (what.entry, what.seed, what.testset), name, recorded)
        photo = sound_pair(bundle, what.testset, photos[name])
        if image and photo and size_of(photos[name]) == size_of(recorded[name]):
            found.append((name, image, photo.hr_path))
    return found


def _by_formula(protocol: Protocol) -> bool:
    """Whether a score needs neither weights nor the other images."""
    return protocol.load is None and not protocol.autoencoded and not protocol.of_set


def _why_not(protocol: Protocol, rows: pd.DataFrame, sample: Sample) -> str | None:
    """Why a protocol of networks, with its stored rows, is not scored again, or None."""
    if protocol.autoencoded:
        return "looks through a network that is trained, which is not run"
    if unavailable(protocol.name, downloads=False):
        return "weights of this metric are not on this machine"
    if len(rows) and rows.value.isna().all() and rows.reason.fillna("").str.startswith(ABSENT).all():
        return "was not scored, for want of weights there; they are on this machine, `tvqsr score` gives the numbers"
    return None if sample.images else "no sample was asked for (`--sample 0`)"


def _why_not_set(sound: int, recorded: int) -> str | None:
    """Why a score of a whole set is not computed again, or None."""
    if sound < recorded:
        return f"is of the whole set, of which {recorded - sound} images or photos are missing or changed"
    return f"is of a set of {sound} images, more than {SET_IMAGES}" if sound > SET_IMAGES else None


def _compared(
    bundle: Bundle, what: Scored, pairs: Sequence[PairFiles], table: pd.DataFrame, wanted: Sequence[Protocol]
) -> Iterator[Finding]:
    """Whether a table has the scores of these images under these protocols."""
    if not wanted:
        return
    by_name = {protocol.name: protocol for protocol in wanted}
    cells = list(zip(table.image, table.protocol, strict=True))
    values = dict(zip(cells, table.value, strict=True))
    errors = dict(zip(cells, table.error, strict=True)) if "error" in table else {}
    images = ", ".join(name for name, _, _ in pairs[:NAMED]) + (f", {len(pairs)} in all" if len(pairs) > NAMED else "")
    wrong = []
    for score in score_pairs(pairs, wanted, Conditions(bundle.plan.crop_on(what.testset))):
        stored = float(values.get((score.image, score.protocol), float("nan")))
        found = float("nan") if score.value is None else score.value
        if not _same(stored, found, by_name[score.protocol]):
            wrong.append(f"{score.image} under {score.protocol} is {found:.6g}, the table has {stored:.6g}")
        error = errors.get((score.image, score.protocol), float("nan"))
        if score.error is not None and "error" in table and not _same(error, score.error, by_name[score.protocol]):
            wrong.append(f"the error of {score.protocol} is {score.error:.6g}, the table has {error:.6g}")
    more = f"; {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    yield compared(f"{what} ({images}; {', '.join(by_name)})", not wrong, "; ".join(wrong[:NAMED]) + more)


def _same(stored: float, found: float, protocol: Protocol) -> bool:
    """Equal but for rounding: of a formula, to a hundredth of what tables show; of a network, to what they show."""
    digits = protocol.decimals + (0 if protocol.load else 2)
    relative = 1e-3 if protocol.of_set else 0.0  # Covariances of few images: what a GPU rounds, they enlarge.
    return bool(np.isclose(stored, found, rtol=relative, atol=10.0**-digits, equal_nan=True))
