"""Images that are the answer: whether an image is its HR, pixel by pixel, though its entry is no control for that."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tvqsr.data.bicubic import resize
from tvqsr.data.images import Pixels
from tvqsr.data.manifest import SCALE, Pair
from tvqsr.plan import EntryPlan
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.outcome import Finding, compared, told_of, unchecked
from tvqsr.verify.pixels import pixels_of, sound_image, sound_pair
from tvqsr.verify.records import made_images, part

OFF = 2
"""Bicubic upscaling misses a hard sample by more than so many levels of 255."""
MOST = 0.9
"""Share of the hard samples that an image may hit exactly; networks hit some hundredths (0.03 at most in `mini`)."""


def copies(bundle: Bundle) -> Iterator[Finding]:
    """Whether images differ from HR; those of a control that reads HR, by its own method.yaml, need not."""
    for entry, seed, testset in made_images(bundle):
        if not _may_be_hr(entry):
            subject = f"{entry.name} seed {seed} on {testset}"
            yield from told_of(subject, _copies, bundle, entry, seed, testset, subject)


def _may_be_hr(entry: EntryPlan) -> bool:
    return entry.method.spec.kind == "control" and entry.reads == "hr"


def _copies(bundle: Bundle, entry: EntryPlan, seed: int, testset: str, subject: str) -> Iterator[Finding]:
    recorded = part(bundle.plan.paths.images_record(entry.name, seed, testset), "images")
    compared_ones, wrong = 0, []
    for name, about in (test_names(bundle, testset) or {}).items():
        pair = sound_pair(bundle, testset, about)
        image = pixels_of(sound_image(bundle, (entry.name, seed, testset), name, recorded))
        if pair is None or image is None or (hr := pair.hr()) is None or hr.shape != image.shape:
            continue
        compared_ones += 1
        if (share := hit(image, hr, pair)) > MOST:
            wrong.append(f"{name} is HR itself" if share == 1 else f"{name} is HR in {share:.1%} of what is hard")
    if not compared_ones:
        yield unchecked(subject, "no images with their photos to be compared")
        return
    role = "a reconstruction" if entry.reads == "hr" else "made from LR"
    yield compared(f"{subject} ({compared_ones} images)", not wrong, f"{', '.join(wrong)}, though it is {role}")


def hit(image: Pixels, hr: Pixels, pair: Pair) -> float:
    """Share of the hard samples of HR (those that bicubic upscaling misses) that an image has exactly.

    0 for a photo without hard ones: a flat one is upscaled to HR by anything.
    """
    hard = np.abs(resize(pair.lr(), Fraction(SCALE)).astype(np.int16) - hr) > OFF
    return float((image == hr)[hard].mean()) if hard.any() else 0.0
