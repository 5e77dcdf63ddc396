"""Published tables as `claims.yaml` states them, number by number, and the claims that they stand for.

tables:
  - source: {url: "https://...", place: "Table 2", trust: primary}
    id: "{column}_{set}"                                          # `lpips_set14`; default: "{set}_{column}"
    statement: "{column} on {set}, LR by bicubic."                # default: "{column} on {set}."
    columns: {psnr: {protocol: psnr_y, crop: 4, tolerance: 0.1}, lpips: {protocol: lpips_alex}}
    sets: {bsd100: {dataset: bsds100, title: BSD100}}             # those whose key is not their data set's name
    also: {esrgan: [esrgan_released]}                             # entries of which the same numbers hold
    numbers:
      bsd100: {esrgan: [25.31, 0.1616], ldl: [25.95, 0.1535]}     # null: published, but no source at hand tells it
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from tvqsr.errors import UserError
from tvqsr.plan.schema import Number, Strict, suggestion, tuple_of
from tvqsr.report.claim import Claim, ClaimSource

Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Column(Strict):
    """A protocol, as the table has it; keys as in `Claim`."""

    protocol: str
    title: str | None = None
    """What the table calls it; the column's key in capitals if not given."""
    tolerance: Number | None = None
    crop: Annotated[int, Field(ge=0)] | None = None
    hardware: str | None = None
    differs: str | None = None


class PublishedSet(Strict):
    """A test set, as the table has it."""

    dataset: str | None = None
    title: str | None = None
    multiple: Annotated[int, Field(ge=1)] | None = None
    differs: str | None = None


def _named(key: str) -> BeforeValidator:
    """A text alone is short for a mapping with that key."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class ClaimTable(Strict):
    """Published numbers by test set, entry and column."""

    source: ClaimSource
    id: str = "{set}_{column}"
    statement: str = "{column} on {set}."
    columns: Annotated[dict[Key, Annotated[Column, _named("protocol")]], Field(min_length=1)]
    sets: dict[Key, Annotated[PublishedSet, _named("dataset")]] = {}
    also: dict[str, Annotated[tuple[str, ...], BeforeValidator(tuple_of)]] = {}
    numbers: Annotated[
        dict[Key, dict[str, Annotated[tuple[Number | None, ...], BeforeValidator(tuple_of)]]], Field(min_length=1)
    ]

    @field_validator("id", "statement")
    @classmethod
    def _fills(cls, template: str) -> str:
        try:
            template.format(column="c", set="s")
        except (KeyError, IndexError, ValueError):
            raise ValueError("`{column}` and `{set}` are what it may contain in braces") from None
        return template


def claims_of_table(table: ClaimTable, where: str) -> Iterator[Claim]:
    """One claim per test set and column, with the numbers of all entries.

    Raises UserError naming `where` and the row for one of the wrong length, and for test sets or entries that are
    declared and then have no numbers.
    """
    _check(table, where)
    for key, rows in table.numbers.items():
        testset = table.sets.get(key, PublishedSet())
        for place, (name, column) in enumerate(table.columns.items()):
            words = {"column": column.title or name.upper(), "set": testset.title or testset.dataset or key}
            yield Claim(
                id=table.id.format(column=name, set=key).removesuffix("_"),
                statement=table.statement.format(**words),
                source=table.source,
                dataset=testset.dataset or key,
                protocol=column.protocol,
                reported=_reported(table, rows, place),
                tolerance=column.tolerance,
                crop=column.crop,
                multiple=testset.multiple,
                hardware=column.hardware,
                differs="; ".join(words for words in (testset.differs, column.differs) if words) or None,
            )


def _reported(table: ClaimTable, rows: dict[str, tuple[float | None, ...]], place: int) -> dict[str, float | None]:
    return {name: row[place] for entry, row in rows.items() for name in (entry, *table.also.get(entry, ()))}


def _check(table: ClaimTable, where: str) -> None:
    entries = {entry for rows in table.numbers.values() for entry in rows}
    declared: tuple[tuple[str, Any, Any], ...] = (
        ("sets", table.sets, table.numbers),
        ("also", table.also, entries),
    )
    for key, names, known in declared:
        for name in names:
            if name not in known:
                raise UserError(f"{where}: {key}: `{name}` has no numbers{suggestion(name, known)}")
    for key, rows in table.numbers.items():
        for entry, row in rows.items():
            if len(row) != len(table.columns):
                raise UserError(
                    f"{where}: numbers.{key}.{entry}: {len(row)} numbers for {len(table.columns)} columns "
                    f"({', '.join(table.columns)})"
                )
