"""Entries of a preset, each with its method and the run that makes its images."""

from __future__ import annotations

from dataclasses import dataclass

from tvqsr.errors import UserError
from tvqsr.plan.given import check_given, marked
from tvqsr.plan.method import Method
from tvqsr.plan.preset import EntrySpec
from tvqsr.plan.runs import Run, RunBuilder
from tvqsr.plan.schema import suggestion


@dataclass(frozen=True)
class EntryPlan:
    """An entry with its method and, unless it is a control, the run that makes its images."""

    name: str
    title: str
    method: Method
    run: Run | None
    seeds: tuple[int, ...]
    given: str | None = None
    """Path of the checkpoint or of the finished outputs that the entry is given, if its method is given any."""

    @property
    def has_outputs(self) -> bool:
        """Whether its images are somebody's finished outputs, which are only copied."""
        return self.method.spec.given == "images"

    @property
    def reads(self) -> str:
        """`lr` for super-resolution, `hr` for what is shown the answer: a ceiling, not a competitor."""
        return self.run.reads if self.run else self.method.spec.reads


def plan_entry(builder: RunBuilder, name: str, spec: EntrySpec, where: str) -> EntryPlan:
    """An entry as a preset declares it. Raises UserError naming file and key."""
    method = builder.method(spec.method, where)
    check_given(spec, method, where)
    stage = spec.upscales_with or method.spec.upscales_with
    run = builder.build(method, stage, spec, where) if stage else None
    reached = {r.stage for r in run.lineage() if r.method.name == method.name} if run else set()
    for changed in spec.stages:
        if changed not in reached:
            raise UserError(
                f"{where}.stages: `{changed}` is no stage that this entry uses{suggestion(changed, reached)}"
            )
    seeds = builder.preset.seeds if run and not run.released else builder.preset.seeds[:1]
    title = spec.title or (name if spec.given else method.spec.title)
    return EntryPlan(name, marked(title, method), method, run, seeds, spec.given)
