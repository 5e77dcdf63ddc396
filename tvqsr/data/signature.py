"""What a photo looks like from afar: enough to know a copy again after scaling, JPEG, mod-crop, mirroring or turning.

A photo is shrunk to 64 x 64 grey samples, whatever its shape, and described by its lowest cosine frequencies, each
times its frequency: amplitudes of photos fall with frequency (Field, J. Opt. Soc. Am. A 4, 2379, 1987), and unweighted,
a bright sky above dark ground would make landscapes alike. The correlation of two descriptions is 1 for copies and near
0 for different photos.

A perceptual hash (ImageHash's `phash`, say) keeps the signs of such coefficients alone. Measured on the same photos, 64
signs confuse copies cut to multiples of 12 with different photos, and 256 signs lose three copies of 660; amplitudes do
neither, and let a cut be undone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Thumbnail = NDArray[np.uint8]
"""(64, 64) grey samples of a photo."""
Floats = NDArray[np.float32]

SIDE = 64
COARSE = 12
"""Frequencies a side that all pairs of photos are compared by."""
FINE = 16
"""Those of the second look, where the difference is looked for in more detail."""
MOST_CUT = 3
"""Of 64 samples, how many the second look takes to be cut off an end: 11 pixels of 235, as mod-crop to 12 may do."""
FLAT = 2.0
"""Standard deviation, in grey levels, below which a thumbnail shows nothing that could be known again."""


def thumbnail(image: Image.Image) -> Thumbnail:
    """64 x 64 luma (BT.601) of a photo; of a JPEG only as much is decoded as that takes.

    Raises what Pillow does for a damaged file (`tvqsr.undecodable`).
    """
    image.draft("L", (2 * SIDE, 2 * SIDE))
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0))


def coarse(thumbnails: Thumbnail) -> Floats:
    """(N, 64, 64) -> (N, 144) descriptions of length 1; of length 0 for flat photos."""
    return _described(_spectra(thumbnails, _window(0, 0, COARSE)), _flat(thumbnails))


def coarse_turned(thumbnails: Thumbnail) -> Floats:
    """(N, 64, 64) -> (N, 8, 144): the descriptions of each photo mirrored and turned in all eight ways."""
    turned = _turned(_spectra(thumbnails, _window(0, 0, COARSE)))
    return _described(turned, np.repeat(_flat(thumbnails)[:, None], 8, axis=1))


def likeness(one: Thumbnail, other: Thumbnail) -> float:
    """Correlation of two photos, [-1, 1], at the best of eight orientations, one cut as mod-crop may cut it.

    0 if one of them is flat.
    """
    return max(_best(one, other), _best(other, one))


def _best(cut: Thumbnail, whole: Thumbnail) -> float:
    """Likeness of a thumbnail cut at one end of each axis, or not at all, and another one left whole."""
    if _flat(np.stack([cut, whole])).any():
        return 0.0
    windows = _windows(FINE)
    spectra = np.einsum("aux,xy,bvy->abuv", windows, cut.astype(np.float32), windows, optimize=True)
    found = _described(spectra.reshape(-1, FINE, FINE))
    against = _described(_turned(_spectra(whole[None], _window(0, 0, FINE)))[0])
    return float((found @ against.T).max())


def _spectra(thumbnails: Thumbnail, window: Floats) -> Floats:
    """(N, 64, 64) -> (N, K, K) cosine coefficients, by the (K, 64) cosines of a window."""
    samples = thumbnails.astype(np.float32)
    return np.matmul(np.matmul(window, samples), window.T)


@cache
def _window(first: int, last: int, count: int) -> Floats:
    """(count, 64): the lowest orthonormal cosines (DCT-II) over a side without its first and last samples.

    What is cut off counts nothing.
    """
    length = SIDE - first - last
    frequency, position = np.arange(count)[:, None], np.arange(length)[None, :] + 0.5
    cosines = np.cos(np.pi * frequency * position / length) * np.sqrt(2 / length)
    cosines[0] /= np.sqrt(2)
    return np.pad(cosines, ((0, 0), (first, last))).astype(np.float32)


@cache
def _windows(count: int) -> Floats:
    """(7, count, 64): a side whole, and cut by 1 to 3 samples at either end."""
    cuts = [(0, 0), *((n, 0) for n in range(1, MOST_CUT + 1)), *((0, n) for n in range(1, MOST_CUT + 1))]
    return np.stack([_window(first, last, count) for first, last in cuts])


def _turned(spectra: Floats) -> Floats:
    """(N, K, K) -> (N, 8, K, K): mirrored along an axis, odd cosines change sign; turned by 90 degrees, axes swap."""
    sign = np.where(np.arange(spectra.shape[-1]) % 2, -1, 1).astype(np.float32)
    rows, columns = sign[:, None], sign[None, :]
    four = [spectra, spectra * rows, spectra * columns, spectra * rows * columns]
    return np.stack([*four, *(mirrored.swapaxes(-1, -2) for mirrored in four)], axis=1)


def _described(spectra: Floats, flat: NDArray[np.bool_] | None = None) -> Floats:
    """(..., K, K) -> (..., K K), weighted by frequency and of length 1, or 0 where flat. The mean counts nothing."""
    frequency = np.arange(spectra.shape[-1], dtype=np.float32)
    weighted = (spectra * np.hypot(frequency[:, None], frequency)).reshape(*spectra.shape[:-2], -1)
    described = weighted / np.maximum(np.linalg.norm(weighted, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    return described if flat is None else np.where(flat[..., None], np.float32(0), described)


def _flat(thumbnails: Thumbnail) -> NDArray[np.bool_]:
    return thumbnails.astype(np.float32).std(axis=(-2, -1)) < FLAT
