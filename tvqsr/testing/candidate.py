"""A method under test: shrunk to the settings that it calls `tiny`, trained for a few steps on photos that are here."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, lcm
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tvqsr.contract import Plugin, Stage, Trained, Upscaler
from tvqsr.data.crops import Batch, CropSampler
from tvqsr.data.manifest import SCALE
from tvqsr.data.prepare import prepare
from tvqsr.errors import UserError
from tvqsr.plan.method import Method, load_method, read_method
from tvqsr.plan.preset import DatasetSpec, EntrySpec, Preset, Runtime, TrainingData
from tvqsr.plan.runs import Run, RunBuilder
from tvqsr.plugins import load_plugin
from tvqsr.testing.code import traces_of
from tvqsr.testing.outcome import FailureError, NotApplicableError
from tvqsr.train.loop import Fit, fit
from tvqsr.upscale.job import ready

STEPS = 3
"""Length of a training: long enough to be interrupted in the middle."""
SIDE = 64
"""Least side of a training crop, in pixels."""
PHOTOS = "photos"


@dataclass(frozen=True)
class Training:
    """A training of a stage, observed."""

    stage: Stage
    fit: Fit
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]]
    """All that the stage holds, before the first step and after the last."""
    random_state: Tensor
    """Of torch, afterwards."""
    others_untouched: bool
    """Whether numpy's and Python's global generators are as they were."""


class Declared(dict[str, Any]):
    """What `method.yaml` declares, handed to `plugin.py`: asking for more is told as what it is."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        super().__init__(values)
        self.where = where

    def __missing__(self, key: str) -> Any:
        raise FailureError(f"{self.where} does not declare `{key}`, but plugin.py asks for it; declare it")


class Candidate:
    """What the checks ask of a method; each thing is made once. `work` is an empty folder to make it in."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder, self.work = folder.resolve(), work
        self.fits = 0
        self.trained = cache(self._trained)
        self.upscaler = cache(self._upscaler)
        self.run = cache(self._run)
        self._trainings: dict[tuple[str, int], Training] = {}
        self._finished: dict[str, Trained] = {}

    @cached_property
    def method(self) -> Method:
        return read_method(self.folder)

    @cached_property
    def plugin(self) -> Plugin:
        return load_plugin(self.method)

    @cached_property
    def traces(self) -> dict[str, Any]:
        """What importing the plugin leaves behind."""
        return traces_of(self.folder)[self.folder]

    @property
    def given(self) -> str | None:
        """What an entry of this method must be given from outside (a checkpoint, images): nothing that is here."""
        return self.method.spec.given

    @cached_property
    def builder(self) -> RunBuilder:
        """Resolves stages as a preset of the smallest kind would, this method's and those that it needs."""
        data = {"batch_size": 2, "hr_crop": self._side(), "crop": "cut", "degradation": "prepared", "last_phase": None}
        rate = {"learning_rate": 1e-3, "schedule": "constant", "halve_at": [], "warmup": 0}
        training = {"iterations": STEPS, "precision": "32-true", **data, **rate}
        preset = Preset(
            description="The conformance suite's.",
            claims="orderings",
            downloads=False,
            seeds=(0,),
            datasets={PHOTOS: DatasetSpec(source="skimage_train")},
            train_on=TrainingData(hr=PHOTOS, pairs=PHOTOS),
            test_on=(PHOTOS,),
            protocols=("psnr_y",),
            tiny=True,
            training=training,
            entries={"candidate": EntrySpec(method=self.method.name)},
        )
        builder = RunBuilder(preset, str(self.folder / "method.yaml"))
        # Known before it is looked for: a bare folder is found nowhere, and must not be mistaken for its namesake.
        builder.methods[self.method.name] = self.method
        return builder

    @cached_property
    def store(self) -> Path:
        """A prepared training set of the photos that scikit-image carries."""
        prepare(self.builder.preset.datasets[PHOTOS], self.work / PHOTOS, True, lambda _: None)
        return self.work / PHOTOS

    def _side(self) -> int:
        """Side of a training crop that suits this method and those whose stages it needs."""
        methods, waiting = {self.method.name: self.method}, [self.method]
        while waiting:
            for stage in waiting.pop().spec.stages.values():
                for other in {need.split(".")[0] for need in stage.needs if "." in need} - methods.keys():
                    methods[other] = load_method(other, f"{self.folder / 'method.yaml'}: needs")
                    waiting.append(methods[other])
        multiple = lcm(*(method.spec.crop_multiple for method in methods.values()), SCALE)
        return multiple * ceil(SIDE / multiple)

    def _run(self, stage: str) -> Run:
        return self.builder.build(self.method, stage, None, str(self.folder / "method.yaml"))

    def stages(self) -> list[str]:
        """Names of the stages. Raises NotApplicableError for a method without."""
        if not self.method.spec.stages:
            raise NotApplicableError("the method has no stages: there is nothing to train")
        return list(self.method.spec.stages)

    def place(self, what: str) -> str:
        """Where to mend something, for messages."""
        return f"{self.folder / 'plugin.py'}: {what}"

    def sampler(self, run: Run, seed: int = 0, kind: type[CropSampler] = CropSampler) -> CropSampler:
        return kind(self.store, run.training, seed, with_lr=run.spec.trains_on == "pairs")

    def batch(self, stage: str) -> Batch:
        """The first batch of a stage's training, laid out as the loop does."""
        hr, lr = self.sampler(self.run(stage)).batch(0)
        return Batch(*(crops.contiguous(memory_format=torch.channels_last) for crops in (hr, lr)))

    def build(self, run: Run, finished: Callable[[Run], Trained]) -> Stage:
        """A stage before its first step, on the random state as it is; `finished` makes the runs that it needs."""
        where = f"{run.method.folder / 'method.yaml'}: stages.{run.stage}"
        needs = Declared({name: finished(need) for name, need in run.needs.items()}, f"{where}.needs")
        plugin = self.plugin if run.method is self.method else load_plugin(run.method)
        return plugin.stage(run.stage, Declared(run.settings, f"{where}.settings"), needs)

    def new(self, stage: str, seed: int = 0) -> Stage:
        """A stage of the method, as a training with that seed begins it, but that nothing it needs was trained."""
        torch.manual_seed(seed)
        return self.build(self.run(stage), self._fresh).train().to(memory_format=torch.channels_last)

    def begun(self, stage: str) -> Stage:
        """A stage as it is in the first step of a training: with a running average to look at."""
        made = self.new(stage)
        made.averaged = [deepcopy(made.moved_by(made.generator))]
        return made

    def training(self, run: Run, seed: int = 0) -> Training:
        """A training of a few steps, observed; made once for each seed."""
        if (run.name, seed) not in self._trainings:
            self._trainings[run.name, seed] = self._observed(run, seed)
        return self._trainings[run.name, seed]

    def _observed(self, run: Run, seed: int) -> Training:
        made: list[Stage] = []
        before: dict[str, Tensor] = {}
        others = _other_generators()

        def build() -> Stage:
            made.append(self.build(run, self._trained_run))
            before.update(_tensors(made[0]))
            return made[0]

        result = self.fit(run, seed, build=build)
        state, untouched = torch.get_rng_state(), _other_generators() == others
        return Training(made[0], result, (before, _tensors(made[0])), state, untouched)

    def fit(
        self,
        run: Run,
        seed: int = 0,
        sampler: CropSampler | None = None,
        state: Path | None = None,
        build: Callable[[], Stage] | None = None,
    ) -> Fit:
        """Train a run through the suite's own loop; its checkpoint lies in `state`, or in a folder of its own."""
        # Before the seed is set, which their trainings would set anew.
        for need in run.needs.values():
            self._trained_run(need)
        self.fits += 1
        with redirect_stderr(io.StringIO()):
            return fit(
                build or (lambda: self.build(run, self._trained_run)),
                sampler or self.sampler(run, seed),
                seed=seed,
                state=state or self.work / f"fit{self.fits}",
                key="conformance",
                runtime=Runtime(threads=1, gpus=0, checkpoint_seconds=1e6, progress_seconds=1e6),
                label=f"{run.method.name}.{run.stage}",
            )

    def _fresh(self, run: Run) -> Trained:
        """A run with the weights that its training begins with."""
        stage = self.build(run, self._fresh)
        needs = {name: self._fresh(need) for name, need in run.needs.items()}
        return Trained(run.stage, run.settings, stage.networks.state_dict(), needs)

    def _trained(self, stage: str) -> Trained:
        return self._trained_run(self.run(stage))

    def _trained_run(self, run: Run) -> Trained:
        """A run with the weights of a few steps, and those that it needs."""
        if run.name not in self._finished:
            needs = {name: self._trained_run(need) for name, need in run.needs.items()}
            weights = self.training(run).fit.weights
            self._finished[run.name] = Trained(run.stage, run.settings, weights, needs)
        return self._finished[run.name]

    def _upscaler(self, stage: str | None) -> Upscaler | None:
        """The method in inference from a stage (None without stages), on the CPU.

        None where `upscaler` refuses the stage as one that makes no images.
        """
        try:
            made = self.plugin.upscaler(self.trained(stage) if stage else None)
        except UserError:
            if stage is None or stage == self.method.spec.upscales_with:
                raise
            return None
        return ready(made, 0)[0]

    def upscalers(self) -> Iterator[tuple[str | None, Upscaler, int]]:
        """All that make images, with their stage and their scale: 1 for those that read HR."""
        stages: list[str | None] = list(self.method.spec.stages) or [None]
        for stage in stages:
            reads = self.run(stage).reads if stage else self.method.spec.reads
            if made := self.upscaler(stage):
                yield stage, made, 1 if reads == "hr" else SCALE


def _tensors(stage: Stage) -> dict[str, Tensor]:
    """Copies of all parameters and buffers of a stage, saved or not."""
    held = [*stage.named_parameters(), *stage.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in held}


def _other_generators() -> bytes:
    """State of numpy's and Python's global generators."""
    return pickle.dumps((np.random.get_state(), random.getstate()))  # noqa: NPY002  the global one is meant


def first_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor that is not the same to the bit; None if all are."""
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other or not _same(one[name], other[name]):
            return name
    return None


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and bool(torch.equal(one, other))
