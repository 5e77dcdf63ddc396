"""Which photos two sets share: the same file, or the same photo by its looks.

Found are copies rescaled, encoded again, in grey, mirrored, turned by 90 degrees, and cut as mod-crop does: at one end
of each side, by up to a twentieth. Not found are smaller crops (StableSR's of DIV2K, say), two shots of one scene, and
photos that show nothing at 64 x 64 pixels (an even grey), unless their files are equal.

Measured on 660 real photos (595 to train on, Set5, Set14, RealSR, scikit-image's): different photos reach a likeness of
0.78 (a stereo pair), 0.77 and 0.62. Copies at a half and a fourth of the size, as JPEG of quality 30, in grey, mirrored
or turned keep 0.979 and more; cut to multiples of 12, 0.983 from 200 pixels a side on, and 0.944 where 6 of 102 are
lost.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvqsr.data.images import Pixels
from tvqsr.data.signature import COARSE, Floats, Thumbnail, coarse, coarse_turned, likeness, thumbnail
from tvqsr.data.store import open_store
from tvqsr.files import read_json
from tvqsr.undecodable import UNDECODABLE

SIEVE = 0.5
"""Correlation of coarse descriptions from which on two photos are looked at again: 1 pair in 8000 of different ones."""
ALIKE = 0.9
"""Likeness from which on two photos are the same."""
BLIND_TO = "crops beyond those of mod-crop, other shots of the same scene, photos without structure at 64 x 64 pixels"

AT_ONCE = 1024
"""Photos worked on together: what is held in memory at a time."""
SIGNATURE = np.dtype([("file", "S64"), ("readable", "?"), ("coarse", "f2", (COARSE * COARSE,))])
"""What is kept of a photo: SHA-256 of its source file, whether it could be read, its coarse description."""


@dataclass(frozen=True)
class Photo:
    """A photo of a set: a file, or memory-mapped samples (H, W, 3); SHA-256 of its source file, where that is known."""

    name: str
    path: Path | None = None
    pixels: Pixels | None = None
    file: str = ""


@dataclass(frozen=True)
class Shared:
    """A training photo and the test photo that it is; `likeness` is 1 where their files are equal."""

    training: str
    test: str
    likeness: float
    same_file: bool


@dataclass(frozen=True)
class Looks:
    """SHA-256 of a photo's source file, and what it looks like."""

    file: str
    thumbnail: Thumbnail


def prepared_photos(folder: Path) -> list[Photo]:
    """Photos of a prepared set: HR, or LR where there is no HR. Raises UserError if its pixels are missing."""
    manifest = read_json(folder / "manifest.json")
    images = manifest["images"]
    if manifest["role"] == "training":
        files = [image.get("source_sha256", "") for image in images]
        stored = open_store(folder)[0]
        return [
            Photo(photo.name, photo.path, photo.pixels[0] if photo.pixels else None, file)
            for photo, file in zip(stored, files, strict=True)
        ]
    return [Photo(image["name"], _png(folder, image), file=image["source_sha256"]) for image in images]


def look(photos: Sequence[Photo], threads: int) -> Iterator[Looks | None]:
    """What photos look like, in order; None for one that cannot be read."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(photos), AT_ONCE):
            yield from pool.map(_look, photos[start : start + AT_ONCE])


def sign(photos: Sequence[Photo], threads: int, report: Callable[[str], None]) -> NDArray[np.void]:
    """Signatures (N,) of photos, with a line of progress every ten seconds."""
    signatures = np.zeros(len(photos), SIGNATURE)
    shown = time.monotonic()
    for start in range(0, len(photos), AT_ONCE):
        some = photos[start : start + AT_ONCE]
        looks = list(look(some, threads))
        rows = signatures[start : start + len(some)]
        rows["readable"] = [found is not None for found in looks]
        rows["file"] = [found.file if found else "" for found in looks]
        rows["coarse"] = coarse(_thumbnails(looks))
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            report(f"{start + len(some)} of {len(photos)} photos looked at")
    return signatures


def find_shared(
    training: Sequence[Photo], signatures: NDArray[np.void], tests: Sequence[Photo], threads: int
) -> tuple[list[Shared], list[str]]:
    """Training photos that are test photos, in the training set's order; and the test photos that cannot be read."""
    looks = list(look(tests, threads))
    equal = _equal_files(signatures, looks)
    shared = [Shared(training[i].name, tests[k].name, 1.0, True) for i, found in equal.items() for k in found]
    candidates = {i: [k for k in found if k not in equal.get(i, ())] for i, found in _sieved(signatures, looks).items()}

    def again(item: tuple[int, list[int]]) -> list[Shared]:
        number, found = item
        mine = _look(training[number])
        theirs = [(tests[k].name, seen) for k in found if (seen := looks[k]) is not None]
        alike = [(name, likeness(mine.thumbnail, seen.thumbnail)) for name, seen in theirs] if mine else []
        return [Shared(training[number].name, name, round(value, 4), False) for name, value in alike if value >= ALIKE]

    with ThreadPoolExecutor(threads) as pool:
        shared += [pair for pairs in pool.map(again, candidates.items()) for pair in pairs]
    order = {photo.name: number for number, photo in enumerate(training)}
    unreadable = [photo.name for photo, seen in zip(tests, looks, strict=True) if seen is None]
    return sorted(shared, key=lambda pair: (order[pair.training], pair.test)), unreadable


def _png(folder: Path, image: Mapping[str, Any]) -> Path:
    return folder / ("HR" if "hr_sha256" in image else "LR") / f"{image['name']}.png"


def _look(photo: Photo) -> Looks | None:
    try:
        if photo.pixels is not None:
            return Looks(photo.file, thumbnail(Image.fromarray(photo.pixels)))
        assert photo.path is not None
        content = photo.path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            return Looks(photo.file or hashlib.sha256(content).hexdigest(), thumbnail(image))
    except UNDECODABLE:
        # Training leaves such a photo out and says so; here it is counted.
        return None


def _thumbnails(looks: Sequence[Looks | None]) -> Thumbnail:
    """(N, 64, 64); all black, which is flat and like nothing, for a photo that cannot be read."""
    black = np.zeros((64, 64), np.uint8)
    return np.stack([found.thumbnail if found else black for found in looks])


def _equal_files(signatures: NDArray[np.void], looks: Sequence[Looks | None]) -> dict[int, list[int]]:
    """Training photo -> test photos of the same source file."""
    tests = defaultdict(list)
    for number, found in enumerate(looks):
        if found:
            tests[found.file.encode()].append(number)
    return {number: tests[file] for number, file in enumerate(signatures["file"].tolist()) if file in tests}


def _sieved(signatures: NDArray[np.void], looks: Sequence[Looks | None]) -> dict[int, list[int]]:
    """Training photo -> test photos that may be the same."""
    found: dict[int, list[int]] = {}
    for first in range(0, len(looks), AT_ONCE):
        turned = coarse_turned(_thumbnails(looks[first : first + AT_ONCE]))
        for start in range(0, len(signatures), AT_ONCE):
            block: Floats = signatures["coarse"][start : start + AT_ONCE].astype(np.float32)
            close = (block @ turned.reshape(-1, turned.shape[-1]).T >= SIEVE).reshape(len(block), -1, 8).any(axis=2)
            for training, test in np.argwhere(close).tolist():
                found.setdefault(start + training, []).append(first + test)
    return dict(sorted(found.items()))
