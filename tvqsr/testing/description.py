"""Checks of what a method says of itself, without running any of it."""

from __future__ import annotations

from tvqsr.data.manifest import SCALE
from tvqsr.report.claim import Claim
from tvqsr.report.claim_files import claims_of
from tvqsr.testing.candidate import Candidate
from tvqsr.testing.outcome import FailureError, NotApplicableError


def description(candidate: Candidate) -> None:
    """method.yaml is valid: keys, types, `tiny`, and crops that the networks can take.

    Published crops must be multiples of `crop_multiple`, and the scale the suite's.
    """
    spec, where = candidate.method.spec, candidate.folder / "method.yaml"
    if spec.scale != SCALE:
        raise FailureError(f"{where}: scale: the suite's data are x{SCALE}, found {spec.scale}")
    if not spec.differs.strip():
        raise FailureError(f"{where}: differs: expected a sentence on what differs from the publication, found none")
    for name, stage in spec.stages.items():
        for step in (0, stage.training.steps):
            _, side = stage.training.crops_at(step)
            if side % spec.crop_multiple:
                raise FailureError(
                    f"{where}: stages.{name}.training: hr_crop {side} is no multiple of crop_multiple "
                    f"{spec.crop_multiple}; correct one of them"
                )


def claims(candidate: Candidate) -> None:
    """claims.yaml is valid: each claim has an id of its own, a source, and something to judge.

    Protocols and data sets that this suite does not have are allowed: such a claim comes out as not run, with the
    reason.
    """
    where, found = candidate.folder / "claims.yaml", claims_of(candidate.method)
    if not found:
        raise NotApplicableError("no claims.yaml beside method.yaml, or no claims in it")
    seen: set[str] = set()
    for number, claim in enumerate(found, 1):
        if problem := _problem(claim, seen):
            raise FailureError(f"{where}: claim {number} (`{claim.id}`): {problem}")
        seen.add(claim.id)


def _problem(claim: Claim, seen: set[str]) -> str | None:
    """What is wrong with a claim beside its form."""
    if claim.id in seen:
        return "an earlier claim has the same `id`; rename one"
    if not claim.source.url.startswith(("http://", "https://")):
        return f"source.url: expected a web address, found `{claim.source.url}`"
    if (claim.better is None) != (claim.worse is None):
        return "`better` and `worse` are given together, or neither"
    if claim.better is not None and claim.better == claim.worse:
        return f"`better` and `worse` are both `{claim.better}`"
    if claim.better is None and not claim.reported:
        return "says nothing to judge; give `reported`, or `better` and `worse`"
    return None


def stages(candidate: Candidate) -> None:
    """Stages are connected: all that they need exists, here or in other methods, without a circle."""
    for name in candidate.stages():
        candidate.run(name)
