"""How much of everything there is: photos by the catalogue, and what lies in a bundle that its plan does not name."""

from __future__ import annotations

from collections.abc import Iterator

from tvqsr.files import read_json
from tvqsr.plan.catalogue import catalogue
from tvqsr.plan.load import is_preset, load_preset
from tvqsr.plan.preset import Preset
from tvqsr.verify.bundle import PLAIN, Bundle
from tvqsr.verify.outcome import Finding, compared, ok, told_of, unchecked
from tvqsr.verify.records import made_images

COMPARED = ("seeds", "test_on", "protocols", "crop", "train_on", "datasets", "tables", "training", "methods", "claims")
"""What of a preset decides its numbers, beside its entries."""


def counts(bundle: Bundle) -> Iterator[Finding]:
    """Whether each set has as many photos as the catalogue says: none was dropped."""
    for name in bundle.plan.used_datasets:
        if bundle.plan.paths.manifest(name).is_file():
            yield from told_of(name, _count, bundle, name)


def _count(bundle: Bundle, name: str) -> Iterator[Finding]:
    source, subject = bundle.plan.preset.datasets[name].source, f"{name} (number of photos)"
    if source not in catalogue():
        yield unchecked(subject, "is no set of the catalogue: how many photos it has, its owner knows")
        return
    found, expected = len(read_json(bundle.plan.paths.manifest(name))["images"]), catalogue()[source].photos
    yield compared(subject, found == expected, f"has {found} photos, where {source} has {expected}")


def leftovers(bundle: Bundle) -> Iterator[Finding]:
    """What lies among images, scores and runs, and is of no entry, seed, test set or run of the plan."""
    plan, paths = bundle.plan, bundle.plan.paths
    named = {paths.images(entry.name, seed, testset) for entry, seed, testset in made_images(bundle)}
    named |= {paths.scores(entry.name, seed, testset) for entry, seed, testset in made_images(bundle)}
    named |= {paths.run(run, seed) for run, seed in plan.made()}
    places = [paths.images("*", "*", "*"), paths.scores("*", "*", "*"), paths.run("*", "*")]
    for pattern in (bundle.place(place) for place in places):
        for path in sorted(bundle.root.glob(pattern)):
            parts = path.relative_to(bundle.root).parts
            if path not in named and parts[1] not in bundle.unknown and not any(part.startswith(".") for part in parts):
                yield unchecked(
                    bundle.place(path), "is in the bundle, but plan.json does not name it: left over, or left out"
                )


def own_preset(bundle: Bundle) -> Preset | None:
    """This installation's preset of the name that the plan has; None if there is none.

    Raises UserError if it cannot be read.
    """
    name = bundle.plan.name
    return load_preset(name, {})[1] if PLAIN.fullmatch(name) and is_preset(name) else None


def preset(bundle: Bundle) -> Iterator[Finding]:
    """Whether the plan is that of the preset of its name, where this installation has one."""
    own, theirs = own_preset(bundle), bundle.plan.preset
    if own is None:
        yield unchecked("plan.json", "is of no preset that this installation has: nothing to compare it with")
        return
    wrong = [key for key in COMPARED if getattr(own, key) != getattr(theirs, key)]
    lacking = sorted(own.entries.keys() - bundle.plan.entries.keys() - bundle.unknown.keys())
    wrong += [f"entries (without {', '.join(lacking)})"] if lacking else []
    both = own.entries.keys() & theirs.entries.keys()
    changed = sorted(name for name in both if own.entries[name] != theirs.entries[name])
    wrong += [f"entries ({', '.join(changed)})"] if changed else []
    if wrong:
        yield unchecked("plan.json", f"differs from this installation's preset {bundle.plan.name}: {', '.join(wrong)}")
    else:
        yield ok("plan.json")
