"""Whether a table compares what it says: entries under one budget that differ in nothing but what is named."""

from __future__ import annotations

from collections.abc import Mapping

from tvqsr.errors import UserError
from tvqsr.plan.preset import TableSpec
from tvqsr.plan.runs import Run


def check_alike(table: TableSpec, runs: Mapping[str, Run | None], where: str) -> None:
    """Refuse a table whose entries differ in more than `varies`.

    `runs` are those of its entries; controls, which have none, are not compared. Two entries are compared stage by
    stage, in the stages and settings that both have, and in training and data. Raises UserError for the first
    difference.
    """
    if table.varies is None:
        return
    seen: dict[str, list[tuple[str, Run]]] = {}
    for entry in table.entries:
        run = runs[entry]
        for stage in run.lineage() if run else []:
            # With all before it: the first of them may lack settings that two others share.
            others = seen.setdefault(stage.stage, [])
            for other, theirs in others:
                if difference := _difference(theirs, stage, table.varies):
                    raise UserError(
                        f"{where}: `{other}` and `{entry}` differ in {difference}; make them equal, "
                        f"or name it in `varies`"
                    )
            others.append((entry, stage))


def _difference(one: Run, other: Run, varies: tuple[str, ...]) -> str | None:
    """The first difference between two runs of a stage, in words."""
    for name in sorted((one.settings.keys() & other.settings.keys()) - set(varies)):
        if one.settings[name] != other.settings[name]:
            return f"{one.stage}.settings.{name}: {one.settings[name]} against {other.settings[name]}"
    mine, theirs = one.training.model_dump(), other.training.model_dump()
    for name in mine:
        if mine[name] != theirs[name]:
            return f"{one.stage}.training.{name}: {mine[name]} against {theirs[name]}"
    if one.dataset != other.dataset:
        return f"{one.stage}: trained on {one.dataset} against {other.dataset}"
    return None
