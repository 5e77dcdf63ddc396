"""The checks in their order, and how a method is put through them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.method import method_folders
from tvqsr.plan.schema import suggestion
from tvqsr.testing import code, codes, description, images, repetition, training
from tvqsr.testing.candidate import Candidate
from tvqsr.testing.outcome import Check, NotApplicableError, Outcome, told
from tvqsr.threads import one_torch_thread

CHECKS = (
    Check("description", (), description.description),
    Check("claims", ("description",), description.claims),
    Check("import", ("description",), code.imported),
    Check("neighbours", ("import",), code.neighbours),
    Check("stages", ("description",), description.stages),
    Check("builds", ("stages", "neighbours"), training.builds),
    Check("losses", ("builds",), training.losses),
    Check("moves", ("losses",), training.moves),
    Check("learns", ("losses",), training.learns),
    Check("frozen", ("losses",), training.frozen),
    Check("random", ("losses",), repetition.random_state),
    Check("seeds", ("random",), repetition.seeds),
    Check("buffers", ("seeds",), repetition.buffers),
    Check("resume", ("buffers",), repetition.resume),
    Check("upscaler", ("moves", "neighbours"), images.upscaler),
    Check("weights", ("upscaler", "seeds"), images.weights),
    Check("shapes", ("upscaler",), images.shapes),
    Check("range", ("shapes",), images.value_range),
    Check("repeats", ("range",), images.repeats),
    Check("batches", ("repeats",), images.batches),
    Check("codes", ("repeats",), codes.codes),
)
"""Every check, in an order in which one may rely on those before it."""


def check_method(
    method: str | Path, only: Sequence[str] = (), report: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Put a method through the suite: a name (in the tree or installed), or a folder with `method.yaml`.

    `only` are names of checks; what they rely on runs, too. `report` is shown each outcome as it comes. Nothing is
    fetched and nothing is left behind. Raises UserError for a method or a check that there is none of.
    """
    folder = method_folder(method)
    with tempfile.TemporaryDirectory(prefix="tvqsr-check-") as work, one_torch_thread():
        outcomes = []
        for outcome in _outcomes(Candidate(folder, Path(work)), _wanted(only)):
            outcomes.append(outcome)
            report(outcome)
        return outcomes


def method_folder(method: str | Path) -> Path:
    """Folder of a method given by name or by path. Raises UserError if there is none."""
    if isinstance(method, Path) or "/" in method or Path(method, "method.yaml").is_file():
        folder = Path(method)
        if not (folder / "method.yaml").is_file():
            raise UserError(f"{folder}: no method.yaml in it; give a method's name or its folder")
        return folder
    folders = method_folders()
    if method not in folders:
        raise UserError(f"unknown method `{method}`{suggestion(method, folders)}; or give the path of its folder")
    found = folders[method]
    if isinstance(found, UserError):
        raise found
    return found


def _wanted(only: Sequence[str]) -> list[Check]:
    """The checks of those names and all they rely on; every check without names."""
    known = {check.name: check for check in CHECKS}
    waiting = list(only) or list(known)
    wanted: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise UserError(f"unknown check `{name}`{suggestion(name, known)}")
        wanted.add(name)
        waiting += known[name].after
    return [check for check in CHECKS if check.name in wanted]


def _outcomes(candidate: Candidate, checks: Sequence[Check]) -> Iterator[Outcome]:
    stopped: dict[str, str] = {}
    for check in checks:
        started = time.perf_counter()
        outcome = _outcome(candidate, check, stopped)
        if outcome.status == "failed":
            stopped[check.name] = check.name
        elif outcome.status == "skipped" and (because := _first_stopped(check, stopped)):
            stopped[check.name] = because
        yield Outcome(
            outcome.check, outcome.sentence, outcome.status, outcome.detail, round(time.perf_counter() - started, 2)
        )


def _first_stopped(check: Check, stopped: dict[str, str]) -> str | None:
    """The failed check that stands in the way of another, if one does."""
    return next((stopped[name] for name in check.after if name in stopped), None)


def _outcome(candidate: Candidate, check: Check, stopped: dict[str, str]) -> Outcome:
    if because := _first_stopped(check, stopped):
        return Outcome(check.name, check.sentence, "skipped", f"relies on `{because}`, which failed")
    try:
        check.ask(candidate)
    except NotApplicableError as reason:
        return Outcome(check.name, check.sentence, "skipped", str(reason))
    except Exception as error:  # noqa: BLE001  whatever a plugin raises is what was found in it
        return Outcome(check.name, check.sentence, "failed", told(error, candidate.folder))
    return Outcome(check.name, check.sentence, "ok")
