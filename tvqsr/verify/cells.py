"""Means of a table, looked for in a text of it that another version laid out otherwise."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from tvqsr.plan import Plan
from tvqsr.report.cells import shown_protocols

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CITED = re.compile(r"~?\\cite\{[^}]*\}")


@dataclass(frozen=True)
class Cell:
    """A number that a table has."""

    entry: str
    title: str
    """Of the entry: what its row begins with."""
    protocol: str
    mean: float
    decimals: int

    def __str__(self) -> str:
        return f"{self.mean:z.{self.decimals}f} of {self.entry} under {self.protocol}"


def cells_of(plan: Plan, table: str) -> list[Cell]:
    """All means that a table shows, of the text of its CSV."""
    summary = pd.read_csv(io.StringIO(table))
    shown = summary[summary.protocol.isin(shown_protocols(summary)) & summary["mean"].notna()]
    return [
        Cell(row.entry, plan.entries[row.entry].title, row.protocol, float(row["mean"]), int(row.decimals))
        for _, row in shown.iterrows()
    ]


def absent_cells(cells: Sequence[Cell], text: str, mark: str) -> list[Cell]:
    """Those whose number is in no row of their entry; `mark` parts the cells of a row.

    A number with one digit fewer stands for it, too. Where no row begins with an entry's title, all are looked through.
    """
    rows = list(_rows(text, mark))
    absent = []
    for cell in cells:
        mine = [numbers for title, numbers in rows if title == _letters(cell.title)] or [mine for _, mine in rows]
        if not any(_stands_for(number, cell) for numbers in mine for number in numbers):
            absent.append(cell)
    return absent


def _rows(text: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    """Title and numbers of each row."""
    for line in text.splitlines():
        if mark in line.replace(f"\\{mark}", ""):
            title, *others = re.split(rf"(?<!\\){re.escape(mark)}", line.strip().strip("|"))
            yield _letters(title), NUMBER.findall(" ".join(others).replace("$-$", "-"))


def _letters(title: str) -> str:
    """A title without what Markdown and LaTeX put round it."""
    return "".join(character for character in CITED.sub("", title) if character.isalnum())


def _stands_for(number: str, cell: Cell) -> bool:
    digits = len(number.partition(".")[2])
    return digits >= cell.decimals - 1 and abs(float(number) - cell.mean) <= 0.5 * 10.0**-digits * (1 + 1e-6)
