"""Scoring pairs of image files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvqsr.data.images import Pixels, read_image
from tvqsr.errors import UserError
from tvqsr.plan.folders import named_images
from tvqsr.plan.protocols import unavailable
from tvqsr.score.fidelity import cropped
from tvqsr.score.protocols import Protocol

WHOLE_SET = "(set)"
"""In place of an image's name, for a score of the whole set."""


@dataclass(frozen=True)
class Score:
    """One number, or the reason why there is none."""

    image: str
    protocol: str
    value: float | None
    reason: str | None = None


def paired_by_name(sr_folder: Path, hr_folder: Path) -> list[tuple[str, Path, Path]]:
    """(name, SR file, HR file) of two folders, by name without ending.

    Raises UserError naming a file without partner.
    """
    sr, hr = named_images(sr_folder), named_images(hr_folder)
    for name, file in hr.items():
        if name not in sr:
            raise UserError(f"{file}: has no partner of that name in {sr_folder}")
    for name, file in sr.items():
        if name not in hr:
            raise UserError(f"{file}: has no partner of that name in {hr_folder}")
    return [(name, sr[name], hr[name]) for name in sorted(hr)]


def score_pairs(pairs: list[tuple[str, Path, Path]], wanted: list[Protocol], crop: int, downloads: bool) -> list[Score]:
    """Scores of all pairs under all protocols; one that cannot be computed here gives no values, but the reason."""
    reasons = {protocol.name: _why_not(protocol, downloads) for protocol in wanted}
    scores: list[Score] = []
    for name, sr_path, hr_path in pairs:
        sr, hr = read_image(sr_path), read_image(hr_path)
        _check_sizes(sr, hr, sr_path, hr_path)
        for protocol in (p for p in wanted if p.of_pair):
            border = crop if protocol.crops else 0
            _check_smallest(hr, hr_path, protocol, border)
            reason = reasons[protocol.name]
            given = cropped(sr, border), cropped(hr, border)
            value = protocol.of_pair(*given) if protocol.of_pair and not reason else None
            scores.append(Score(name, protocol.name, value, reason))
    sr_files, hr_files = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    for protocol in (p for p in wanted if p.of_set):
        reason = reasons[protocol.name]
        value = protocol.of_set(sr_files, hr_files) if protocol.of_set and not reason else None
        scores.append(Score(WHOLE_SET, protocol.name, value, reason))
    return scores


def _why_not(protocol: Protocol, downloads: bool) -> str | None:
    """Why a protocol cannot be computed here, or None."""
    reason = unavailable(protocol.name, downloads)
    if reason is None and protocol.load:
        try:
            protocol.load()
        except OSError as error:
            return f"weights absent: they cannot be fetched ({error})"
    return reason


def _check_sizes(sr: Pixels, hr: Pixels, sr_path: Path, hr_path: Path) -> None:
    if sr.shape != hr.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (sr, hr)]
        raise UserError(f"{sr_path}: is {sizes[0]}, but {hr_path} is {sizes[1]}")


def _check_smallest(hr: Pixels, path: Path, protocol: Protocol, border: int) -> None:
    least = protocol.smallest + 2 * border
    if min(hr.shape[:2]) < least:
        raise UserError(
            f"{path}: is {hr.shape[1]} x {hr.shape[0]}, too small for {protocol.name} with a crop of {border}; "
            f"at least {least} a side"
        )
