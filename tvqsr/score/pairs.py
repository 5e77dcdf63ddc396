"""Scoring image files against their references: one method's, or several methods' in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tvqsr.data.ahead import in_order
from tvqsr.data.images import Pixels, read_image
from tvqsr.errors import UserError
from tvqsr.plan.protocols import TOO_SMALL
from tvqsr.score.kept import Kept
from tvqsr.score.learned import exact
from tvqsr.score.photos import NO_AUTOENCODER, NO_HR, Conditions, PairFiles, Photo, Score, finite
from tvqsr.score.picture import Picture
from tvqsr.score.protocol import Protocol, UnfitError
from tvqsr.score.ready import why_not
from tvqsr.score.sets import score_sets
from tvqsr.threads import one_torch_thread


def score_pairs(pairs: Sequence[PairFiles], wanted: Sequence[Protocol], conditions: Conditions) -> list[Score]:
    """Scores of one method's images; see `score_photos`."""
    return score_photos([Photo(name, (sr,), hr) for name, sr, hr in pairs], wanted, conditions)[0]


def score_photos(photos: Sequence[Photo], wanted: Sequence[Protocol], conditions: Conditions) -> list[list[Score]]:
    """Scores of each method under all protocols: photo by photo, then those of the whole set.

    What is computed of a reference serves all methods. A protocol that cannot be computed here gives no values, but
    the reason; so does one that needs HR where there is none, and one that has no number for an image, or needs a
    larger one. A score of the whole set is of the photos that have HR.
    Raises UserError for images that are damaged, or of another size than HR.
    """
    reasons = {protocol.name: why_not(protocol, conditions.downloads, conditions.device) for protocol in wanted}
    if conditions.autoencoder is None:
        reasons |= {protocol.name: NO_AUTOENCODER for protocol in wanted if protocol.autoencoded}
    methods = len(photos[0].sr) if photos else 1
    scores: list[list[Score]] = [[] for _ in range(methods)]
    with ExitStack() as stack:
        if any(protocol.load or protocol.autoencoded for protocol in wanted):
            # Around all threads: what they set for themselves within is then no change.
            stack.enter_context(exact())
            # Workers of one thread each, whatever their number.
            stack.enter_context(one_torch_thread())
        of_photo = partial(_of_photo, wanted=wanted, reasons=reasons, conditions=conditions)
        for found in in_order(of_photo, photos, conditions.workers):
            _append(scores, found)
        _append(scores, score_sets(photos, methods, wanted, reasons, conditions))
    return scores


def _append(scores: list[list[Score]], found: list[list[Score]]) -> None:
    for method, new in enumerate(found):
        scores[method].extend(new)


def _of_photo(
    photo: Photo, wanted: Sequence[Protocol], reasons: dict[str, str | None], conditions: Conditions
) -> list[list[Score]]:
    hr = _reference(photo.hr, conditions) if photo.hr else None
    return [_of_file(photo, file, hr, wanted, reasons, conditions) for file in photo.sr]


def _reference(file: Path, conditions: Conditions) -> Picture:
    """HR, with what is kept of it. A GPU computes features faster than they are read."""
    keeps = conditions.kept if conditions.device == "cpu" else None
    return Picture(read_image(file), Kept(keeps).of_file(file) if keeps else None)


def _of_file(
    photo: Photo,
    file: Path,
    hr: Picture | None,
    wanted: Sequence[Protocol],
    reasons: dict[str, str | None],
    conditions: Conditions,
) -> list[Score]:
    sr = Picture(read_image(file))
    if hr is not None and sr.pixels.shape != hr.pixels.shape:
        sizes = [f"{picture.pixels.shape[1]} x {picture.pixels.shape[0]}" for picture in (sr, hr)]
        raise UserError(f"{file}: is {sizes[0]}, but {photo.hr} is {sizes[1]}")
    scores = []
    for protocol in (p for p in wanted if not p.of_set):
        reason = NO_HR if protocol.needs_hr and hr is None else reasons[protocol.name]
        if reason:
            scores.append(Score(photo.name, protocol.name, None, reason))
            continue
        border = conditions.crop if protocol.crops else 0
        if reason := _why_too_small(sr.pixels, protocol, border):
            scores.append(Score(photo.name, protocol.name, None, reason))
            continue
        pictures = [picture for picture in (sr, hr) if picture is not None]
        if protocol.autoencoded:
            assert conditions.autoencoder
            pictures = [picture.through(conditions.autoencoder) for picture in pictures]
        given = [picture.without_border(border) for picture in pictures]
        scores.append(_score(photo.name, protocol, given, conditions.device))
    return scores


def _score(name: str, protocol: Protocol, given: list[Picture], device: str) -> Score:
    try:
        return finite(name, protocol, _value(protocol, given, device))
    except UnfitError as error:
        return Score(name, protocol.name, None, str(error))


def _value(protocol: Protocol, given: list[Picture], device: str) -> float:
    """Score of [SR, HR], or of [SR] where there is no HR."""
    if protocol.of_image:
        return protocol.of_image(given[0], device)
    assert protocol.of_pair
    return protocol.of_pair(given[0], given[1], device)


def _why_too_small(pixels: Pixels, protocol: Protocol, border: int) -> str | None:
    """Why an image has no score for want of pixels, in the same words for every image."""
    if min(pixels.shape[:2]) >= protocol.smallest + 2 * border:
        return None
    cropped = f" after a crop of {border}" if border else ""
    return f"{TOO_SMALL}: {protocol.smallest} pixels a side are needed{cropped}"
