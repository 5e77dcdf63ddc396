"""Every question once: which claims state the same number, and which of those that disagree counts.

A question is which of two entries is ahead under a protocol, or what an entry reaches on a test set under a protocol,
with its border, cut and machine. Numbers that agree are one row of verdicts that keeps all its sources; where one is
printed with fewer digits, the row is that of the finer. Others have a row each, as orderings have, whose statements may
differ; of these rows only the first counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tvqsr.plan.claim_files import ClaimFile
from tvqsr.report.claim import Claim
from tvqsr.report.tolerance import half_a_unit

TRUSTED = ("primary", "third party", "digest", "ours")
"""Whose number counts: that of those who made it, of others who publish it, of a digest of either."""
ORDERING = "ordering"
ROUNDING = 1 + 1e-6
"""Numbers of decimal digits are not exact in binary: 6.55 is a little more than half a unit from 6.6."""
BETWEEN = " | "
"""What parts the sources in a cell of `claims.csv`."""
SOURCE = re.compile(r"(?P<claim>\S+): (?P<place>.*) <(?P<source>\S+)> \((?P<trust>[a-z ]+)\)")


@dataclass(frozen=True)
class Standing:
    """How a row of verdicts stands among those of the same question."""

    also: str = ""
    """Other claims of the same number, each with place, address and trust."""
    instead: str = ""
    """The claim that counts in its place; empty for what counts."""


@dataclass(frozen=True)
class _Answer:
    file: ClaimFile
    claim: Claim
    kind: str
    number: float | str | None

    @property
    def rank(self) -> tuple[Any, ...]:
        """The first one counts: told and comparable, by whom, and then by name, the same in every preset."""
        trust = TRUSTED.index(self.claim.source.trust)
        return *self.fitness, trust, self.file.outside, self.file.name

    @property
    def fitness(self) -> tuple[bool, bool]:
        """Whether it lacks a number, and whether its protocol departs."""
        return self.number is None, bool(self.claim.differs)

    def agrees(self, other: _Answer) -> bool:
        """Whether both may be one number, rounded to as many digits: 0.21 and 0.2101 may, 0.212 and 0.2101 not."""
        if isinstance(self.number, float) and isinstance(other.number, float):
            coarser = max(half_a_unit(self.claim), half_a_unit(other.claim))
            return abs(self.number - other.number) <= coarser * ROUNDING
        return self.number == other.number


def full_name(file: ClaimFile, claim: Claim) -> str:
    """A claim's name among those of all files."""
    return f"{file.name}.{claim.id}"


def kind_of(entry: str) -> str:
    """What `claims.csv` calls the row of an entry's published number."""
    return f"value of {entry}"


def standings(stated: Iterable[tuple[ClaimFile, Claim]]) -> dict[tuple[str, str], Standing]:
    """Standing by full name and kind of row; numbers that another claim's row stands for have none."""
    questions: dict[tuple[Any, ...], list[_Answer]] = defaultdict(list)
    for file, claim in stated:
        for question, answer in _asked(file, claim):
            questions[question].append(answer)
    found: dict[tuple[str, str], Standing] = {}
    for answers in questions.values():
        counted = ""
        for first, *others in _agreeing(answers):
            name = full_name(first.file, first.claim)
            found[name, first.kind] = Standing(BETWEEN.join(map(_told, others)), counted)
            counted = counted or name
    return found


def _agreeing(answers: list[_Answer]) -> list[list[_Answer]]:
    """Groups of numbers that agree, by the rank of their first; the finest of those that can be used leads."""
    groups: list[list[_Answer]] = []
    for answer in sorted(answers, key=lambda answer: answer.rank):
        group = next((group for group in groups if all(answer.agrees(other) for other in group)), None)
        if group is None:
            groups.append([answer])
        else:
            group.append(answer)
    # Sorting keeps the order of rank among numbers of as many digits.
    return [sorted(group, key=lambda answer: (*answer.fitness, half_a_unit(answer.claim))) for group in groups]


def sources(also: str) -> list[dict[str, str]]:
    """The `also` of a row taken apart: claim, place, source and trust of each."""
    return [match.groupdict() for one in also.split(BETWEEN) if (match := SOURCE.fullmatch(one))]


def _asked(file: ClaimFile, claim: Claim) -> Iterator[tuple[tuple[Any, ...], _Answer]]:
    if claim.better and claim.worse:
        question = (claim.better, claim.worse, claim.protocol, claim.scale)
        yield question, _Answer(file, claim, ORDERING, full_name(file, claim))
    for entry, number in claim.reported.items():
        where = (claim.dataset, claim.protocol, claim.crop, claim.multiple, claim.hardware)
        yield (entry, *where), _Answer(file, claim, kind_of(entry), number)


def _told(answer: _Answer) -> str:
    source = answer.claim.source
    return f"{full_name(answer.file, answer.claim)}: {source.place} <{source.url}> ({source.trust})"
