"""Scoring pairs of image files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

from scipy.io.matlab import MatReadError

from tvqsr.data.images import Pixels, read_image
from tvqsr.errors import UserError
from tvqsr.plan.folders import named_images
from tvqsr.plan.protocols import WEIGHTS, unavailable
from tvqsr.score.fidelity import cropped
from tvqsr.score.protocol import Protocol
from tvqsr.score.weights import fetch

PairFiles = tuple[str, Path, Path | None]
"""Name, SR file, and HR file where there is one."""
AutoEncoder = Callable[[Pixels], Pixels]
"""(H, W, 3) uint8 -> the same, of the same size."""
WHOLE_SET = "(set)"
"""In place of an image's name, for a score of the whole set."""
NO_HR = "no HR: the photo exists in low resolution only"
ONE_IMAGE = "one image is no distribution: two or more are needed"
NO_AUTOENCODER = "its auto-encoder is trained for AESOP, and no entry that is made here needs it"
UNDEFINED = "not defined here: no finite number comes out"


@dataclass(frozen=True)
class Score:
    """One number, or the reason why there is none."""

    image: str
    protocol: str
    value: float | None
    reason: str | None = None


def paired_by_name(sr_folder: Path, hr_folder: Path) -> list[PairFiles]:
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


def score_pairs(
    pairs: list[PairFiles],
    wanted: list[Protocol],
    crop: int,
    downloads: bool,
    device: str,
    autoencoder: AutoEncoder | None = None,
) -> list[Score]:
    """Scores of all pairs under all protocols, networks running on a device (`cpu` or `cuda`).

    `autoencoder` is what some protocols look through. One that cannot be computed here gives no values, but the reason;
    so does one that needs HR where there is none.
    A score of the whole set is of the pairs that have HR.
    """
    reasons = {protocol.name: _why_not(protocol, downloads, device) for protocol in wanted}
    if autoencoder is None:
        reasons |= {protocol.name: NO_AUTOENCODER for protocol in wanted if protocol.autoencoded}
    scores: list[Score] = []
    for name, sr_path, hr_path in pairs:
        sr, hr = read_image(sr_path), read_image(hr_path) if hr_path else None
        if hr is not None and sr.shape != hr.shape:
            sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (sr, hr)]
            raise UserError(f"{sr_path}: is {sizes[0]}, but {hr_path} is {sizes[1]}")
        for protocol in (p for p in wanted if not p.of_set):
            border = crop if protocol.crops else 0
            reason = NO_HR if protocol.needs_hr and hr is None else reasons[protocol.name]
            if reason is None:
                _check_smallest(sr, sr_path, protocol, border)
            seen = [pixels for pixels in (sr, hr) if pixels is not None]
            if protocol.autoencoded and reason is None:
                assert autoencoder
                seen = [autoencoder(pixels) for pixels in seen]
            given = [cropped(pixels, border) for pixels in seen]
            scores.append(_scored(name, protocol, reason, given, device))
    files = [(sr_path, hr_path) for _, sr_path, hr_path in pairs if hr_path]
    scores += [_of_set(protocol, reasons[protocol.name], files, device) for protocol in wanted if protocol.of_set]
    return scores


def _scored(image: str, protocol: Protocol, reason: str | None, given: list[Pixels], device: str) -> Score:
    """Score of [SR, HR], or of [SR] where there is no HR."""
    if reason:
        return Score(image, protocol.name, None, reason)
    if protocol.of_image:
        return _finite(image, protocol, protocol.of_image(given[0], device))
    assert protocol.of_pair
    return _finite(image, protocol, protocol.of_pair(given[0], given[1], device))


def _of_set(protocol: Protocol, reason: str | None, files: list[tuple[Path, Path]], device: str) -> Score:
    assert protocol.of_set
    if not files:
        reason = NO_HR
    elif len(files) == 1:
        reason = ONE_IMAGE
    if reason:
        return Score(WHOLE_SET, protocol.name, None, reason)
    sr, hr = ([pair[side] for pair in files] for side in (0, 1))
    return _finite(WHOLE_SET, protocol, protocol.of_set(sr, hr, device))


def _finite(image: str, protocol: Protocol, value: float) -> Score:
    return Score(image, protocol.name, value) if math.isfinite(value) else Score(image, protocol.name, None, UNDEFINED)


def _why_not(protocol: Protocol, downloads: bool, device: str) -> str | None:
    """Why a protocol cannot be computed here, or None; its network is ready then.

    Raises UserError for weights that are here but damaged.
    """
    reason = unavailable(protocol.name, downloads) or fetch(protocol.name)
    if reason is None and protocol.load:
        try:
            protocol.load(device)
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError, MatReadError) as error:
            files = ", ".join(str(file.target) for file in WEIGHTS[protocol.name])
            why = " ".join(str(error).split())[:120]
            raise UserError(
                f"{protocol.name}: cannot be loaded ({why}); if its weights are damaged, replace {files}"
            ) from None
    return reason


def _check_smallest(pixels: Pixels, path: Path, protocol: Protocol, border: int) -> None:
    least = protocol.smallest + 2 * border
    if min(pixels.shape[:2]) < least:
        raise UserError(
            f"{path}: is {pixels.shape[1]} x {pixels.shape[0]}, too small for {protocol.name} with a crop of {border}; "
            f"at least {least} a side"
        )
