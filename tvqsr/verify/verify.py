"""All checks of a bundle, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.verify import extent, files, records, report, rescored, runs, scores, verdicts
from tvqsr.verify.bundle import Bundle, opened, read_bundle
from tvqsr.verify.outcome import MALFORMED, Finding, Outcome, failed, ok, told_of, unchecked

CHECKS: dict[str, Callable[[Bundle], Iterable[Finding]]] = {
    "preset": extent.preset,
    "extent": extent.leftovers,
    "counts": extent.counts,
    "provenance": records.provenance,
    "weights": runs.weights,
    "seeds": runs.seeds,
    "overlaps": report.overlaps,
    "photos": files.photos,
    "images": files.images,
    "scores": scores.rows,
    "tables": report.tables,
    "costs": report.costs,
    "verdicts": verdicts.verdicts,
    "page": report.presentation,
}
"""By name, but for `plan`, which comes first, and `rescored`, which comes after `scores`."""


def verify(place: Path, sample: rescored.Sample, report_on: Callable[[str], None] = lambda _: None) -> list[Outcome]:
    """Check a bundle, a folder or an archive. Raises UserError for what is no bundle."""
    with opened(place) as root:
        outcomes = []
        for check, finding in _findings(root, sample, report_on):
            why = finding.why.replace(f"{root}/", "")
            outcomes.append(Outcome(check, finding.status, _printable(finding.subject), _printable(why)))
        return outcomes


def _findings(root: Path, sample: rescored.Sample, report_on: Callable[[str], None]) -> Iterator[tuple[str, Finding]]:
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
            report_on("rescored")
            yield from (("rescored", finding) for finding in told_of("plan.json", rescored.again, bundle, sample))


def _printable(text: str) -> str:
    """A stranger's words without what would steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
