"""Scores of whole sets: features of SR and HR, computed once for all distances that look at them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tvqsr.console import say
from tvqsr.files import sha256
from tvqsr.plan.protocols import TOO_SMALL, weights_of
from tvqsr.score.distances import Features, Owners
from tvqsr.score.features import Seen
from tvqsr.score.kept import Kept
from tvqsr.score.photos import NO_HR, WHOLE_SET, Conditions, Photo, Score, finite
from tvqsr.score.protocol import Protocol

ONE_IMAGE = "one image is no distribution: two or more are needed"


def score_sets(
    photos: Sequence[Photo],
    methods: int,
    wanted: Sequence[Protocol],
    reasons: Mapping[str, str | None],
    conditions: Conditions,
) -> list[list[Score]]:
    """Scores of each method under the protocols that are of sets, in their order.

    Of the photos that have HR and, where patches are looked at, hold one. `reasons` say which protocols cannot be
    computed.
    """
    of_sets = [protocol for protocol in wanted if protocol.of_set]
    with_hr = [photo for photo in photos if photo.hr]
    alone = NO_HR if not with_hr else ONE_IMAGE if len(with_hr) == 1 else None
    scores: list[dict[str, Score]] = [{} for _ in range(methods)]
    for seen in dict.fromkeys(protocol.seen for protocol in of_sets if protocol.seen):
        shown = _shown(seen, with_hr)
        mine = [protocol for protocol in of_sets if protocol.seen == seen]
        why = {protocol.name: alone or reasons[protocol.name] or shown.why_too_few(seen) for protocol in mine}
        here = [protocol for protocol in mine if not why[protocol.name]]
        for protocol in mine:
            absent = Score(WHOLE_SET, protocol.name, None, why[protocol.name])
            for found in scores:
                found[protocol.name] = absent
        if here:
            hr = _of_references(seen, here[0], shown.photos, conditions)
            for method, found in enumerate(scores):
                files = [photo.sr[method] for photo in shown.photos]
                sr = seen.features(files, conditions.device, conditions.workers)
                found |= {protocol.name: _score(protocol, sr, hr, shown) for protocol in here}
    return [[found[protocol.name] for protocol in of_sets] for found in scores]


@dataclass(frozen=True)
class _Shown:
    """Photos that features are of: those of `among` that are large enough."""

    photos: list[Photo]
    owners: Owners
    among: int

    def told(self, patches: bool) -> str:
        """How many there are."""
        if not patches:
            return f"n = {len(self.owners)} images"
        small = self.among - len(self.photos)
        left_out = f" ({small} smaller than a patch)" if small else ""
        return f"n = {len(self.owners)} patches of {len(self.photos)} images{left_out}"

    def why_too_few(self, seen: Seen) -> str | None:
        """Why there is no distance, or None."""
        large = len(self.photos)
        if large > 1:
            return None
        return (
            f"{TOO_SMALL}: {large} of {self.among} photos hold a patch of {seen.patch} x {seen.patch}, two are needed"
        )


def _shown(seen: Seen, photos: Sequence[Photo]) -> _Shown:
    rows = seen.rows([photo.hr for photo in photos if photo.hr])
    large = [(photo, count) for photo, count in zip(photos, rows, strict=True) if count]
    owners = np.repeat(np.arange(len(large)), [count for _, count in large])
    return _Shown([photo for photo, _ in large], owners, len(photos))


def _score(protocol: Protocol, sr: Features, hr: Features, shown: _Shown) -> Score:
    assert protocol.of_set and protocol.seen
    distance = protocol.of_set(sr, hr, shown.owners)
    note = shown.told(protocol.seen.patch is not None)
    if len(sr) < protocol.biased_below:
        note += f", biased upwards below {protocol.biased_below}"
        say(f"{protocol.name}: {note}")
    return dataclasses.replace(finite(WHOLE_SET, protocol, distance.value), error=distance.error, note=note)


def _of_references(seen: Seen, protocol: Protocol, photos: Sequence[Photo], conditions: Conditions) -> Features:
    """Features of HR, kept for the next method where there is a place for them."""
    files = [photo.hr for photo in photos if photo.hr]

    def make() -> Features:
        return seen.features(files, conditions.device, conditions.workers)

    if conditions.kept is None:
        return make()
    made_from = {
        "extractor": seen.extractor.name,
        "patch": seen.patch,
        "weights": [sha256(file.target) for file in weights_of(protocol.name)],
        "device": conditions.device,
        "libraries": protocol.about(0)["library"],
        "images": [sha256(file) for file in files],
    }
    (features,) = Kept(conditions.kept).once(made_from, lambda: [make()])
    return features
