"""Checks of what a method says of its codes."""

from __future__ import annotations

from typing import Any

import torch

from tvqsr.contract import Codebook, Indices, Upscaler
from tvqsr.testing.candidate import Candidate
from tvqsr.testing.images import each, images
from tvqsr.testing.outcome import FailureError, NotApplicableError
from tvqsr.upscale.padding import reflect_to_multiple


def codes(candidate: Candidate) -> None:
    """Codes are what `codebooks` says: one map each, at its stride, indices below its size; HR's are comparable."""
    looked_at = 0
    for where, made, scale in each(candidate):
        if not made.codebooks:
            continue
        looked_at += 1
        for image in images(scale):
            given = reflect_to_multiple(image, made.multiple)
            hr = tuple(side * scale for side in given.shape[-2:])
            with torch.inference_mode():
                found = made.codes(given)
                _check_maps(made.codebooks, found, hr, f"{where}: codes()")
                _check_vectors(made, found, f"{where}: code_vectors()")
                truth = made.codes_of_hr(torch.rand(1, 3, *hr))
            if truth is not None:
                _check_maps(made.codebooks, truth, hr, f"{where}: codes_of_hr()")
    if not looked_at:
        raise NotApplicableError("the method has no codebook (`codebooks` of its upscalers is empty)")


def _check_maps(books: tuple[Codebook, ...], maps: Any, hr: tuple[int, ...], where: str) -> None:
    if not isinstance(maps, tuple) or len(maps) != len(books):
        found = f"{len(maps)} maps" if isinstance(maps, tuple) else type(maps).__name__
        raise FailureError(f"{where}: expected a tuple of {len(books)}, one map for each of `codebooks`, found {found}")
    for number, (book, indices) in enumerate(zip(books, maps, strict=True)):
        if any(side % book.stride for side in hr):
            raise FailureError(f"{where}: HR of {hr} is no multiple of stride {book.stride}; enlarge `multiple`")
        expected = (1, *(side // book.stride for side in hr))
        if tuple(indices.shape) != expected or indices.dtype != torch.int64:
            raise FailureError(
                f"{where}: map {number} is {tuple(indices.shape)}, {indices.dtype}; for HR of {hr} and stride "
                f"{book.stride} expected {expected}, torch.int64"
            )
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= book.size:
            raise FailureError(f"{where}: map {number} has indices {low} .. {high}; expected 0 .. {book.size - 1}")


def _check_vectors(made: Upscaler, maps: Indices, where: str) -> None:
    vectors = made.code_vectors(maps)
    if vectors is None:
        return
    finest = min(range(len(maps)), key=lambda number: made.codebooks[number].stride)
    expected = (1, vectors.shape[1], *maps[finest].shape[-2:])
    if tuple(vectors.shape) != expected:
        raise FailureError(f"{where}: gives {tuple(vectors.shape)}; expected (1, D, {expected[2]}, {expected[3]})")
