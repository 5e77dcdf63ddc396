"""All checks of a bundle, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.verify import (
    controls,
    copies,
    extent,
    files,
    originals,
    records,
    remade,
    report,
    rescored,
    resolved,
    runs,
    scores,
    seeds,
    trust,
    verdicts,
)
from tvqsr.verify.bundle import Bundle, opened, read_bundle
from tvqsr.verify.outcome import MALFORMED, Finding, Outcome, failed, ok, told_of, unchecked
from tvqsr.verify.sample import Sample

CHECKS: dict[str, Callable[[Bundle], Iterable[Finding]]] = {
    "preset": extent.preset,
    "resolved": resolved.resolved,
    "extent": extent.leftovers,
    "counts": extent.counts,
    "provenance": records.provenance,
    "weights": runs.weights,
    "seeds": seeds.seeds,
    "overlaps": report.overlaps,
    "photos": files.photos,
    "images": files.images,
    "copies": copies.copies,
    "controls": controls.controls,
    "scores": scores.rows,
    "tables": report.tables,
    "costs": report.costs,
    "verdicts": verdicts.verdicts,
    "page": report.presentation,
    "trust": trust.trust,
}
"""By name, but for `plan`, which comes first, and for what is dear, which comes after `scores`."""
DEAR: dict[str, Callable[[Bundle, Sample], Iterable[Finding]]] = {
    "originals": originals.originals,
    "rescored": rescored.again,
    "remade": remade.remade,
}
"""Checks of a sample."""


def verify(place: Path, sample: Sample, report_on: Callable[[str], None] = lambda _: None) -> list[Outcome]:
    """Check a bundle, a folder or an archive. Raises UserError for what is no bundle."""
    with opened(place) as root:
        outcomes = []
        for check, finding in _findings(root, sample, report_on):
            why = finding.why.replace(f"{root}/", "")
            outcomes.append(Outcome(check, finding.status, _printable(finding.subject), _printable(why)))
        return outcomes


def _findings(root: Path, sample: Sample, report_on: Callable[[str], None]) -> Iterator[tuple[str, Finding]]:
    try:
        bundle = read_bundle(root)
    except (UserError, *MALFORMED) as error:
        why = (
            str(error) if isinstance(error, UserError) else f"not as tvqsr writes it ({type(error).__name__}: {error})"
        )
        yield "plan", failed("plan.json", why)
        return
    yield "plan", ok(f"plan.json ({len(bundle.plan.entries)} entries, {len(bundle.plan.runs)} trainings)")
    for name, why in bundle.unknown.items():
        yield "plan", unchecked(name, why)
    if large := scores.too_large(bundle):
        yield from (("scores", finding) for finding in large)
        return
    for check, look in CHECKS.items():
        report_on(check)
        yield from ((check, finding) for finding in told_of("plan.json", look, bundle))
        if check == "scores":
            for dear, look_at in DEAR.items():
                report_on(dear)
                yield from ((dear, finding) for finding in told_of("plan.json", look_at, bundle, sample))


def _printable(text: str) -> str:
    """A stranger's words without what would steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
