"""A preset resolved into jobs: what the workflow and every step ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.plan.budget import check_alike
from tvqsr.plan.catalogue import dataset_identity, has_hr, overlap, own_folders
from tvqsr.plan.claim_files import claims_text
from tvqsr.plan.digest import digest, source_digest
from tvqsr.plan.folders import images_below
from tvqsr.plan.given import check_given, marked, outputs_folder, state
from tvqsr.plan.load import load_preset, preset_path
from tvqsr.plan.method import PACKAGE, Method
from tvqsr.plan.paths import RESULTS, Paths
from tvqsr.plan.preset import DatasetSpec, EntrySpec, Preset, TableSpec
from tvqsr.plan.protocols import AUTOENCODED, AUTOENCODER, unavailable
from tvqsr.plan.runs import Run, RunBuilder
from tvqsr.plan.schema import suggestion

OF_ALL = ("codebook", "cost")
"""Figures of the whole preset. The others are of one table: `strip.main`."""
LEGIBLE = 16
"""Most entries that a figure shows."""


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


@dataclass(frozen=True)
class Plan:
    """All jobs of a preset, with their paths and the keys that decide whether they must run again."""

    name: str
    preset: Preset
    entries: Mapping[str, EntryPlan]
    paths: Paths

    @classmethod
    def load(cls, preset: str, changes: Mapping[str, Any] | None = None) -> Plan:
        """Plan of a preset given by name or path, with `changes` laid over it. Raises UserError naming file and key."""
        where = str(preset_path(preset))
        name, content = load_preset(preset, dict(changes or {}))
        builder = RunBuilder(content, where)
        for dataset in content.test_on:
            dataset_identity(content.datasets[dataset], f"{where}: datasets.{dataset}")
        _check_apart(content, where)
        if not has_hr(content.datasets[content.test_on[0]]):
            raise UserError(
                f"{where}: test_on: `{content.test_on[0]}` has no HR and cannot be the first: figures show it"
            )
        _check_changes(builder, where)
        entries = {key: _entry(builder, key, spec, f"{where}: entries.{key}") for key, spec in content.entries.items()}
        for table, spec in content.tables.items():
            check_alike(spec, {key: entry.run for key, entry in entries.items()}, f"{where}: tables.{table}")
        return cls(name, content, entries, Paths(RESULTS / name))

    @cached_property
    def runs(self) -> dict[str, Run]:
        """All training runs by name, the needed before the needing."""
        return {run.name: run for entry in self.entries.values() if entry.run for run in entry.run.lineage()}

    def seeds_of(self, run: str) -> tuple[int, ...]:
        """Seeds that a run is made with; the authors' weights come only once, under the first."""
        return self.preset.seeds[:1] if self.runs[run].released else self.preset.seeds

    def made(self) -> list[tuple[str, int]]:
        """All runs with their seeds."""
        return [(run, seed) for run in self.runs for seed in self.seeds_of(run)]

    @cached_property
    def trained_on(self) -> list[str]:
        """Sets that something is trained on."""
        return list(dict.fromkeys(run.dataset for run in self.runs.values() if not run.released))

    @cached_property
    def used_datasets(self) -> list[str]:
        """Sets that something is trained or tested on."""
        tested_on = [testset for testset in self.preset.test_on if self.entries_on(testset)]
        return list(dict.fromkeys([*self.trained_on, *tested_on]))

    def training_sets_of(self, entry: str) -> list[str]:
        """Sets that a run behind an entry is trained on here; of weights that others trained, theirs are not known."""
        run = self.entry(entry).run
        return list(dict.fromkeys(run.dataset for run in run.lineage() if not run.released)) if run else []

    def kept_apart(self, dataset: str) -> list[str]:
        """Test sets of the entries that are trained on a set: none of its photos may be in them."""
        learnt = [entry for entry in self.entries if dataset in self.training_sets_of(entry)]
        return [name for name in self.preset.test_on if any(name in self.test_sets(entry) for entry in learnt)]

    @cached_property
    def methods(self) -> dict[str, Method]:
        """Methods that the entries use, in the order of the entries."""
        return {entry.method.name: entry.method for entry in self.entries.values()}

    def entry(self, name: str) -> EntryPlan:
        """Entry by name. Raises UserError if the preset has none."""
        if name not in self.entries:
            raise UserError(f"unknown entry `{name}` of preset `{self.name}`{suggestion(name, self.entries)}")
        return self.entries[name]

    def run(self, name: str) -> Run:
        """Run by name. Raises UserError if the preset has none."""
        if name not in self.runs:
            raise UserError(f"unknown run `{name}` of preset `{self.name}`{suggestion(name, self.runs)}")
        return self.runs[name]

    def dataset(self, name: str) -> DatasetSpec:
        """Declaration of a dataset. Raises UserError if the preset has none of that name."""
        if name not in self.preset.datasets:
            raise UserError(f"unknown dataset `{name}` of preset `{self.name}`{suggestion(name, self.preset.datasets)}")
        return self.preset.datasets[name]

    @cached_property
    def tables(self) -> dict[str, TableSpec]:
        """Tables by name; `main` first."""
        main = TableSpec(title="Main table", entries=tuple(self.entries), figures=("strip", "plane", "codes", "curves"))
        return {"main": main} | self.preset.tables

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures: `<kind>.<table>`, and those of the whole preset."""
        return (*(f"{kind}.{name}" for name, table in self.tables.items() for kind in table.figures), *OF_ALL)

    def figure_entries(self, figure: str) -> list[EntryPlan]:
        """Entries of a figure: of its table, in its order.

        Where a table has more than a figure can show, those of the preset's `more_entries` are left out of it.
        """
        kind, _, table = figure.partition(".")
        if kind == "codebook":
            names = self.preset.tables[kind].entries if kind in self.preset.tables else ()
        else:
            names = self.tables[table or "main"].entries
        if len(names) > LEGIBLE:
            names = tuple(name for name in names if name not in self.preset.more_entries)[:LEGIBLE]
        return [self.entries[name] for name in names]

    def figure_set(self, figure: str) -> str | None:
        """Test set of a figure: the first with HR that one of its entries makes images of."""
        made = {testset for entry in self.figure_entries(figure) for testset in self.test_sets(entry.name)}
        return next((name for name in self.preset.test_on if name in made and has_hr(self.preset.datasets[name])), None)

    def table_sets(self, table: str) -> list[str]:
        """Test sets that a table can be written for; controls, which go along everywhere, need company."""
        rows = self.tables[table].entries
        led_by = [entry for entry in rows if self.entry(entry).method.spec.kind != "control"] or rows
        made = {testset for entry in led_by for testset in self.test_sets(entry)}
        return [testset for testset in self.preset.test_on if testset in made]

    def test_sets(self, entry: str) -> list[str]:
        """Test sets that an entry makes images of: one that reads HR, only those that have it."""
        needs_hr = self.entry(entry).reads == "hr"
        chosen = self._chosen_sets(entry)
        wanted = self._sets_in_use if chosen is None else chosen
        return [name for name in wanted if not needs_hr or has_hr(self.preset.datasets[name])]

    def track(self, entry: str) -> str | None:
        """Track of an entry; None for what was not trained here and names none, and where there are no tracks."""
        own = self.preset.entries[entry].track
        return next(iter(self.preset.tracks), None) if own is None and self.entry(entry).run else own

    def _chosen_sets(self, entry: str) -> list[str] | None:
        """Test sets that an entry's track and its own `test_on` leave; None where it has neither."""
        own, track = self.preset.entries[entry].test_on, self.track(entry)
        if own is None and track is None:
            return None
        sets = [name for name in self.preset.test_on if own is None or name in own]
        return [name for name in sets if track is None or self.preset.track_of(name) == track]

    @cached_property
    def _sets_in_use(self) -> list[str]:
        """Where there are tracks, the test sets that some entry chooses; all where there are none, or none does."""
        chosen = {testset for entry in self.entries for testset in self._chosen_sets(entry) or ()}
        everywhere = not self.preset.tracks or not chosen
        return [name for name in self.preset.test_on if everywhere or name in chosen]

    def entries_on(self, testset: str) -> list[EntryPlan]:
        """Entries with images of a test set."""
        return [entry for entry in self.entries.values() if testset in self.test_sets(entry.name)]

    def is_training_set(self, dataset: str) -> bool:
        return dataset in self.preset.training_sets

    def prepare_key(self, dataset: str) -> str:
        """Changes when the dataset's declaration, its files or the preparing code do."""
        spec = self.preset.datasets[dataset]
        code = source_digest(PACKAGE / "data" / "prepare.py")
        folders = own_folders(spec, self.preset.data_folder)
        times = [file.stat().st_mtime_ns for folder in folders for file in images_below(folder)]
        return digest([dataset_identity(spec, dataset), times, self.is_training_set(dataset), code])

    def overlap_key(self) -> str:
        """Changes when the code that compares training photos with test photos does."""
        return digest([source_digest(PACKAGE / "data" / "overlap.py")])

    def train_key(self, run: str) -> str:
        """Changes when a setting, the data, a needed run or the code behind the numbers does."""
        job = "released.py" if self.runs[run].released else "job.py"
        return digest([run, source_digest(PACKAGE / "train" / job, self.runs[run].method.plugin)])

    def upscale_key(self, entry: str) -> str:
        """Changes when the entry's run or its code does, whatever it is given."""
        plan = self.entries[entry]
        return digest(
            [plan.run.name if plan.run else "", source_digest(PACKAGE / "upscale" / "job.py", plan.method.plugin)]
        )

    def outputs(self, entry: str, testset: str) -> Path:
        """Folder of the outputs that an entry is given for a test set. Raises UserError if there is none."""
        given = self.entry(entry).given
        assert given is not None
        return outputs_folder(given, testset, alone=len(self.test_sets(entry)) == 1)

    def given_key(self, entry: str, testset: str) -> str:
        """Changes when what an entry is given does: its checkpoint, or the outputs for a test set."""
        plan = self.entries[entry]
        if plan.given is None:
            return ""
        try:
            path = self.outputs(entry, testset) if plan.has_outputs else Path(plan.given)
        except UserError:
            # Planned before it is there: the job that wants it says where to put it.
            return digest([plan.given])
        return digest([plan.given, state(path)])

    def protocols_on(self, testset: str) -> tuple[str, ...]:
        """What a test set is scored with."""
        own = self.preset.datasets[testset].protocols
        return self.preset.protocols if own is None else own

    def crop_on(self, testset: str) -> int:
        """Border left out of PSNR and SSIM on a test set, in HR pixels."""
        own = self.preset.datasets[testset].crop
        return self.preset.crop if own is None else own

    def autoencoder_on(self, testset: str) -> tuple[Run, int] | None:
        """Run and seed of the auto-encoder that a test set is scored with: the first that an entry needs, if any."""
        if AUTOENCODED not in self.protocols_on(testset):
            return None
        found = [run for run in self.runs.values() if f"{run.method.name}.{run.stage}" == AUTOENCODER]
        return (found[0], self.seeds_of(found[0].name)[0]) if found else None

    def score_key(self, testset: str) -> str:
        """Changes when the protocols of a test set, what they look through, or the scoring code do."""
        protocols = self.protocols_on(testset)
        computable: list[Any] = [[name, unavailable(name, self.preset.downloads) is None] for name in protocols]
        if through := self.autoencoder_on(testset):
            run, seed = through
            computable.append([run.name, seed, source_digest(run.method.plugin)])
        return digest([computable, self.crop_on(testset), source_digest(PACKAGE / "score" / "job.py")])

    def efficiency_key(self, entry: str) -> str:
        """Changes when the entry's run, its code, its given weights or what measures it does."""
        code = source_digest(PACKAGE / "efficiency" / "job.py", self.entries[entry].method.plugin)
        plan = self.entries[entry]
        weights = state(Path(plan.given)) if plan.given and not plan.has_outputs else []
        return digest([self.upscale_key(entry), code, weights, self.preset.runtime.threads, self.preset.runtime.gpus])

    def claims_key(self) -> str:
        """Changes when a file of claims, or the code that judges them, does."""
        return digest([claims_text(self.methods), self.report_key("claims.py")])

    def report_key(self, module: str) -> str:
        """Changes when what is told of the entries, the preset or the methods, or the code of a report module does."""
        rows = {name: [entry.title, entry.seeds] for name, entry in self.entries.items()}
        tables = {name: table.model_dump(mode="json") for name, table in self.tables.items()}
        preset = self.preset
        told = [preset.description, preset.claims, preset.test_on, list(preset.tracks.items()), tables]
        methods = {name: method.spec.model_dump(mode="json") for name, method in self.methods.items()}
        return digest([rows, told, methods, source_digest(PACKAGE / "report" / module)])

    def figure_key(self, figure: str) -> str:
        """Changes when a figure's code or what is told of its entries does; of the codebooks', also the claims."""
        kind = figure.partition(".")[0]
        key = self.report_key(f"figures/{kind}.py")
        return digest([key, self.claims_key()]) if kind == "codebook" else key

    def page_key(self) -> str:
        """Changes when the page's code, templates or scripts do, or which photos may be shared."""
        folder = PACKAGE / "report" / "templates"
        templates = {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        allowed = {name: self.preset.datasets[name].may_share for name in self.trained_on}
        return digest([templates, allowed, self.report_key("page/__init__.py")])


def _check_apart(preset: Preset, where: str) -> None:
    """Refuse a test set that is trained on, or lies where photos to train on do, unless the preset allows that."""
    for training in sorted(preset.training_sets):
        for testing in preset.test_on:
            if training == testing:
                raise UserError(f"{where}: `{testing}` is used for training and for testing; declare two sets")
            if testing in preset.datasets[training].may_share:
                continue
            if overlap(preset.datasets[training], preset.datasets[testing], preset.data_folder):
                raise UserError(
                    f"{where}: `{testing}` is used for training and for testing, or lies in `{training}` or around it; "
                    f"a test set must not be trained on, unless `datasets.{training}.may_share: [{testing}]` allows it"
                )


def _check_changes(builder: RunBuilder, where: str) -> None:
    """Refuse changes to methods or stages that do not exist, used or not.

    A typing error must not be silently without effect.
    """
    for name, stages in builder.preset.methods.items():
        method = builder.method(name, f"{where}: methods")
        for stage in stages:
            builder.build(method, stage, None, f"{where}: methods.{name}")


def _entry(builder: RunBuilder, name: str, spec: EntrySpec, where: str) -> EntryPlan:
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
