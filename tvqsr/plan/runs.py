"""The graph of training runs: each named by what it computes, so that entries which ask for the same run share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tvqsr.errors import UserError
from tvqsr.plan.catalogue import dataset_identity
from tvqsr.plan.digest import digest
from tvqsr.plan.method import Method, StageSpec, Value, load_method
from tvqsr.plan.preset import EntrySpec, Preset, StageChange
from tvqsr.plan.protocols import present_lpips
from tvqsr.plan.schema import parse, suggestion
from tvqsr.plan.training import Training

LPIPS_PRESENT = "lpips_present"
"""As the value of a setting: LPIPS with whichever network's weights are here."""


@dataclass(frozen=True)
class Run:
    """One training: a stage with everything that decides its outcome, but for the seed and the code.

    Or, `released`, the authors' weights of a stage: settings and training are the published ones, nothing is trained.
    """

    method: Method
    stage: str
    settings: Mapping[str, Value]
    training: Training
    dataset: str
    needs: Mapping[str, Run]
    digest: str
    released: bool = False

    @property
    def name(self) -> str:
        """Folder name under `runs/`."""
        return f"{self.method.name}.{self.stage}-{'released-' if self.released else ''}{self.digest}"

    @property
    def spec(self) -> StageSpec:
        return self.method.spec.stages[self.stage]

    @property
    def hours(self) -> float:
        """On one H100, of method.yaml, in proportion to the pixels that this training sees of the published ones."""
        return self.spec.resources.hours * self.training.pixels / self.spec.training.pixels

    @property
    def reads(self) -> str:
        """What the networks of this stage are given to make an image: `hr` (a reconstruction) or `lr`."""
        return self.spec.image_input

    def lineage(self) -> list[Run]:
        """This run and all it needs, each once, the needed before the needing."""
        runs: dict[str, Run] = {}
        for need in self.needs.values():
            runs.update({run.name: run for run in need.lineage()})
        return [*runs.values(), self]


class RunBuilder:
    """Resolves stages to runs under one preset."""

    def __init__(self, preset: Preset, where: str) -> None:
        self.preset, self.where = preset, where
        self.methods: dict[str, Method] = {}

    def method(self, name: str, where: str) -> Method:
        """The method of that name, read once."""
        if name not in self.methods:
            self.methods[name] = load_method(name, where)
        return self.methods[name]

    def build(
        self, method: Method, stage: str, entry: EntrySpec | None, where: str, above: tuple[str, ...] = ()
    ) -> Run:
        """Run of a stage with the preset's changes and, for the entry's own method, the entry's.

        `above` are the stages that led here.
        """
        key = f"{method.name}.{stage}"
        if key in above:
            raise UserError(
                f"{method.folder / 'method.yaml'}: stages need each other in a circle: {' -> '.join((*above, key))}"
            )
        if stage not in method.spec.stages:
            raise UserError(
                f"{where}: unknown stage `{stage}` of `{method.name}`{suggestion(stage, method.spec.stages)}"
            )
        spec = method.spec.stages[stage]
        if entry and entry.weights == "released":
            return self._released(method, stage, entry, where, (*above, key))
        changes = self._changes(method, stage, entry, where)
        settings = _settings(spec, self._tiny(method, stage) + changes)
        training = self._training(spec, changes, method)
        needs = {need: self._need(method, need, entry, where, (*above, key)) for need in spec.needs}
        dataset = self._dataset(spec, changes)
        computes = {
            "method": method.name,
            "stage": stage,
            "settings": settings,
            "training": training.model_dump(mode="json"),
            "data": dataset_identity(self.preset.datasets[dataset], f"{self.where}: datasets.{dataset}"),
            "needs": {name: need.name for name, need in needs.items()},
        }
        return Run(method, stage, settings, training, dataset, needs, digest(computes))

    def _released(self, method: Method, stage: str, entry: EntrySpec, where: str, above: tuple[str, ...]) -> Run:
        """The authors' weights: of the published settings, whatever the preset changes."""
        spec = method.spec.stages[stage]
        if spec.released is None:
            raise UserError(f"{where}: `{method.name}.{stage}` has no released weights; leave out `weights: released`")
        if entry.stages:
            raise UserError(f"{where}.stages: released weights are of the published settings, which cannot be changed")
        needs = {need: self._need(method, need, entry, where, above) for need in spec.needs}
        settings = {name: setting.default for name, setting in spec.settings.items()}
        computes = {
            "method": method.name,
            "stage": stage,
            "settings": settings,
            "released": spec.released.identity,
            "needs": {name: need.name for name, need in needs.items()},
        }
        return Run(method, stage, settings, spec.training, "", needs, digest(computes), released=True)

    def _need(self, method: Method, need: str, entry: EntrySpec | None, where: str, above: tuple[str, ...]) -> Run:
        if "." not in need:
            return self.build(method, need, entry, where, above)
        other, stage = need.split(".", 1)
        theirs = EntrySpec(method=other, weights="released") if entry and entry.weights == "released" else None
        return self.build(self.method(other, str(method.folder / "method.yaml")), stage, theirs, where, above)

    def _tiny(self, method: Method, stage: str) -> list[tuple[str, StageChange]]:
        """The method's own smallest settings, where the preset asks for them."""
        if not self.preset.tiny:
            return []
        change = StageChange(settings=method.spec.tiny.get(stage, {}))
        return [(f"{method.folder / 'method.yaml'}: tiny.{stage}", change)]

    def _changes(
        self, method: Method, stage: str, entry: EntrySpec | None, where: str
    ) -> list[tuple[str, StageChange]]:
        changes: list[tuple[str, StageChange]] = []
        if change := self.preset.methods.get(method.name, {}).get(stage):
            changes.append((f"{self.where}: methods.{method.name}.{stage}", change))
        if entry and (change := entry.stages.get(stage)):
            changes.append((f"{where}.stages.{stage}", change))
        return changes

    def _dataset(self, spec: StageSpec, changes: list[tuple[str, StageChange]]) -> str:
        """What a stage is trained on: the preset's set for its kind, unless a change names another."""
        dataset: str | None = None
        if usual := self.preset.train_on:
            dataset = usual.hr if spec.trains_on == "hr" else usual.pairs
        for _, change in changes:
            dataset = change.trains_on or dataset
        if dataset is None:
            raise UserError(
                f"{self.where}: it has no photos to train on: give `train_on: {{hr: SET, pairs: SET}}`, "
                f"or only entries of which nothing is trained"
            )
        return dataset

    def _training(self, spec: StageSpec, changes: list[tuple[str, StageChange]], method: Method) -> Training:
        resolved = spec.training
        steps = [(f"{self.where}: training", self.preset.training)]
        for where, values in [*steps, *((f"{where}.training", change.training) for where, change in changes)]:
            resolved = parse(Training, {**resolved.model_dump(), **values}, where)
        multiple = method.spec.crop_multiple
        for _, side in (resolved.crops_at(0), resolved.crops_at(resolved.steps)):
            if side % multiple:
                raise UserError(
                    f"{self.where}: hr_crop of {method.name}: {side} is not a multiple of {multiple}, "
                    f"as its networks need"
                )
        return resolved


def _settings(spec: StageSpec, changes: list[tuple[str, StageChange]]) -> dict[str, Value]:
    values = {name: setting.default for name, setting in spec.settings.items()}
    for where, change in changes:
        for name, value in change.settings.items():
            if name not in spec.settings:
                raise UserError(f"{where}.settings: unknown key `{name}`{suggestion(name, spec.settings)}")
            # Resolved while planning, so that the run's digest tells which network it was trained with.
            known = present_lpips() if value == LPIPS_PRESENT else value
            values[name] = spec.settings[name].check(known, f"{where}.settings.{name}")
    return values
