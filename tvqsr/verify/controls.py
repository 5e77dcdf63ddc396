"""Images of entries without weights (bicubic, nearest, HR itself), made again and compared to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tvqsr.plan import EntryPlan
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.outcome import Finding, compared, told_of, unchecked
from tvqsr.verify.pixels import pixels_of, sound_image, sound_pair
from tvqsr.verify.records import made_images, part


def controls(bundle: Bundle) -> Iterator[Finding]:
    """Whether every image of an entry without weights is what the bundle's photos give."""
    for entry, seed, testset in made_images(bundle):
        if entry.run is None and entry.given is None:
            subject = f"{entry.name} seed {seed} on {testset}"
            yield from told_of(subject, _controls, bundle, entry, seed, testset, subject)


def _controls(bundle: Bundle, entry: EntryPlan, seed: int, testset: str, subject: str) -> Iterator[Finding]:
    from tvqsr.upscale.job import load_upscaler, make_image

    model, device = load_upscaler(bundle.plan, entry, seed)
    recorded = part(bundle.plan.paths.images_record(entry.name, seed, testset), "images")
    made, wrong = 0, []
    for name, about in (test_names(bundle, testset) or {}).items():
        pair = sound_pair(bundle, testset, about)
        stored = pixels_of(sound_image(bundle, (entry.name, seed, testset), name, recorded))
        if pair is not None and stored is not None:
            made += 1
            again, _ = make_image(model, device, entry, pair, None)
            wrong += [] if np.array_equal(again, stored) else [name]
    if made:
        why = f"{', '.join(wrong)}: other pixels than `{entry.method.name}` makes of the bundle's photos"
        yield compared(f"{subject} ({made} images)", not wrong, why)
    else:
        yield unchecked(subject, "no images with their photos to make again")
