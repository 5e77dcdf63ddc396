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
from tvqsr.plan.entries import plan_entry
from tvqsr.plan.folders import images_below
from tvqsr.plan.given import state
from tvqsr.plan.jobs import Jobs
from tvqsr.plan.load import load_preset, preset_path
from tvqsr.plan.method import PACKAGE
from tvqsr.plan.paths import RESULTS, Paths
from tvqsr.plan.preset import Preset
from tvqsr.plan.protocols import unavailable
from tvqsr.plan.runs import RunBuilder


@dataclass(frozen=True)
class Plan(Jobs):
    """All jobs of a preset, with the keys that decide whether they must run again."""

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
        entries = {
            key: plan_entry(builder, key, spec, f"{where}: entries.{key}") for key, spec in content.entries.items()
        }
        for table, spec in content.tables.items():
            check_alike(spec, {key: entry.run for key, entry in entries.items()}, f"{where}: tables.{table}")
        plan = cls(name, content, entries, Paths(RESULTS / name))
        _check_shares(plan, where)
        return plan

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
        """Changes when the entry's run or its code does, or what its trainings compute; whatever it is given.

        Keys of later steps hold those of the steps before: what is stale is seen where a clock that was set back, or a
        copy, has turned round the times of files. Released weights that are imported again are the same.
        """
        run = self.entries[entry].run
        trained = [self.train_key(needed.name) for needed in run.lineage() if not needed.released] if run else []
        return digest([self._inference_key(entry), trained])

    def _inference_key(self, entry: str) -> str:
        plan = self.entries[entry]
        return digest(
            [plan.run.name if plan.run else "", source_digest(PACKAGE / "upscale" / "job.py", plan.method.plugin)]
        )

    @cached_property
    def _made_key(self) -> str:
        """Changes when any image or score does."""
        return digest([[self.upscale_key(name) for name in self.entries], *map(self.score_key, self.preset.test_on)])

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
        return digest(
            [self._inference_key(entry), code, weights, self.preset.runtime.threads, self.preset.runtime.gpus]
        )

    def claims_key(self) -> str:
        """Changes when a file of claims, or the code that judges them, does."""
        return digest([claims_text(self.methods), self.report_key("claims.py")])

    def report_key(self, module: str) -> str:
        """Changes when scores do, what is told of entries, preset or methods, or the code of a report module."""
        rows = {name: [entry.title, entry.seeds] for name, entry in self.entries.items()}
        tables = {name: table.model_dump(mode="json") for name, table in self.tables.items()}
        preset = self.preset
        told = [preset.description, preset.claims, preset.test_on, list(preset.tracks.items()), tables]
        methods = {name: method.spec.model_dump(mode="json") for name, method in self.methods.items()}
        return digest([rows, told, methods, self._made_key, source_digest(PACKAGE / "report" / module)])

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


def _check_shares(plan: Plan, where: str) -> None:
    """Refuse a number of processes that a batch cannot be shared out to."""
    processes = plan.preset.runtime.processes
    for run in plan.runs.values():
        for size in {run.training.crops_at(step)[0] for step in (0, run.training.steps - 1)}:
            if size % processes:
                raise UserError(
                    f"{where}: runtime.processes: {processes} processes cannot share the batch of {size} of "
                    f"{run.method.name}.{run.stage} equally; choose a divisor of it"
                )


def _check_changes(builder: RunBuilder, where: str) -> None:
    """Refuse changes to methods or stages that do not exist, used or not.

    A typing error must not be silently without effect.
    """
    for name, stages in builder.preset.methods.items():
        method = builder.method(name, f"{where}: methods")
        for stage in stages:
            builder.build(method, stage, None, f"{where}: methods.{name}")
