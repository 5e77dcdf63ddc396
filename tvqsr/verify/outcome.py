"""What a check found, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tvqsr.errors import UserError

Status = Literal["ok", "failed", "not checked"]
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, RecursionError, MemoryError)
"""What a record that tvqsr did not write, or of another version, raises when it is read."""
NAMED = 3
"""Most subjects that a line names each."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and if it is not in order, why."""

    status: Status
    subject: str
    why: str = ""


@dataclass(frozen=True)
class Outcome:
    """A finding, and the check that it is of."""

    check: str
    status: Status
    subject: str
    why: str


def ok(subject: str) -> Finding:
    return Finding("ok", subject)


def failed(subject: str, why: str) -> Finding:
    return Finding("failed", subject, why)


def unchecked(subject: str, why: str) -> Finding:
    return Finding("not checked", subject, why)


def compared(subject: str, equal: bool, why: str) -> Finding:
    return ok(subject) if equal else failed(subject, why)


def told_of(subject: str, look: Callable[..., Iterable[Finding]], *about: Any) -> Iterator[Finding]:
    """What `look` finds; if what it reads is damaged or not of the form expected, that is a failure of `subject`."""
    try:
        yield from look(*about)
    except UserError as error:
        yield failed(subject, str(error))
    except MALFORMED as error:
        yield failed(subject, f"is not as this version of tvqsr writes it ({type(error).__name__}: {error})")


def told(outcomes: Sequence[Outcome]) -> str:
    """A line for what is in order of each check, for each failure, and for each reason why something is not checked."""
    lines: list[str] = []
    for check in dict.fromkeys(outcome.check for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.check == check]
        lines += [_line(status, check, text) for status, text in _lines(mine)]
    return "\n".join([*lines, "", summary(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """How much was verified, and what was not."""
    count = {status: sum(outcome.status == status for outcome in outcomes) for status in ("ok", "failed")}
    text = f"verified {count['ok']} of {len(outcomes)}; {count['failed']} FAILED"
    open_checks = dict.fromkeys(outcome.check for outcome in outcomes if outcome.status == "not checked")
    left = len(outcomes) - sum(count.values())
    return (
        f"{text}; could not check {left}: {', '.join(open_checks)}" if left else f"{text}; nothing was left unchecked"
    )


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All outcomes, for programs."""
    return {"summary": summary(outcomes), "outcomes": [asdict(outcome) for outcome in outcomes]}


def _line(status: str, check: str, text: str) -> str:
    return f"{'FAILED' if status == 'failed' else status:<12} {check:<11} {text}"


def _lines(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    if fine := [outcome.subject for outcome in outcomes if outcome.status == "ok"]:
        yield "ok", _named(fine)
    for outcome in outcomes:
        if outcome.status == "failed":
            yield "failed", f"{outcome.subject}: {outcome.why}"
    open_ones = [outcome for outcome in outcomes if outcome.status == "not checked"]
    for why in dict.fromkeys(outcome.why for outcome in open_ones):
        yield "not checked", f"{_named([outcome.subject for outcome in open_ones if outcome.why == why])}: {why}"


def _named(subjects: Sequence[str]) -> str:
    return ", ".join(subjects) if len(subjects) <= NAMED else f"{len(subjects)} ({subjects[0]}, ...)"
