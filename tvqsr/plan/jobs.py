"""The jobs of a preset: what is trained, made, scored and shown of which entry on which set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.catalogue import has_hr
from tvqsr.plan.entries import EntryPlan
from tvqsr.plan.given import outputs_folder
from tvqsr.plan.method import Method
from tvqsr.plan.paths import Paths
from tvqsr.plan.preset import DatasetSpec, Preset, TableSpec
from tvqsr.plan.protocols import AUTOENCODED, AUTOENCODER
from tvqsr.plan.runs import Run
from tvqsr.plan.schema import suggestion

OF_ALL = ("codebook", "cost")
"""Figures of the whole preset. The others are of one table: `strip.main`."""
LEGIBLE = 16
"""Most entries that a figure shows."""
FETCH_MINUTES = 60
"""Asked for weights that the authors released."""
START_MINUTES = 30
"""Asked beside the work itself: for imports, data that another machine reads first, and the last checkpoint."""


@dataclass(frozen=True)
class Jobs:
    """All jobs of a preset, with their paths."""

    name: str
    preset: Preset
    entries: Mapping[str, EntryPlan]
    paths: Paths

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

    def train_minutes(self, name: str) -> int:
        """What the job of a run asks a cluster for: at most `job_hours`, and those where there is no GPU to go by."""
        run, runtime = self.run(name), self.preset.runtime
        if run.released:
            return FETCH_MINUTES
        hours = run.hours / runtime.processes if runtime.gpus else runtime.job_hours
        return math.ceil(min(60 * runtime.job_hours, 60 * hours + START_MINUTES))

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

    def outputs(self, entry: str, testset: str) -> Path:
        """Folder of the outputs that an entry is given for a test set. Raises UserError if there is none."""
        given = self.entry(entry).given
        assert given is not None
        return outputs_folder(given, testset, alone=len(self.test_sets(entry)) == 1)

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
