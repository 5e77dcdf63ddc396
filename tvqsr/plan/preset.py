"""A preset: the scale of a whole run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tvqsr.plan.degradation import Degradation
from tvqsr.plan.method import Name
from tvqsr.plan.schema import Number, Strict, tuple_of
from tvqsr.plan.source import HubSet


class StageChange(Strict):
    """What a preset or an entry changes in a stage."""

    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}
    trains_on: Name | None = None
    """Dataset, where it is not the one of the preset's `train_on`."""


def _hub_set(value: Any) -> Any:
    """A name alone is short for a data set with photos in the column `image` of its split `train`."""
    return {"name": value} if isinstance(value, str) else value


class DatasetSpec(Strict):
    """A set of photos: a `source` of the catalogue, a `hub` data set, or folders of one's own (HR, LR, or both)."""

    source: str | None = None
    """A name in `tvqsr/data/sources.yaml`."""
    hub: Annotated[HubSet, BeforeValidator(_hub_set)] | None = None
    """An image data set that `datasets.load_dataset` opens: `owner/name`, or with its split, columns and revision."""
    folder: str | None = None
    """A folder of HR photos; those in folders inside it count, too."""
    lr_folder: str | None = None
    """A folder of LR photos, a fourth of HR in size and of the same names. Without `folder` the set has no HR."""
    degradation: Degradation = "bicubic"
    """How LR is made of HR where none is given."""
    multiple: Annotated[int, Field(ge=4, multiple_of=4)] = 4
    """What HR's sides are cut to multiples of, before LR is made of it."""
    store: Literal["pixels", "files"] = "pixels"
    """Of a training set: all pixels in one file, or photos decoded as they are needed (for sets beyond the disk)."""
    may_share: Annotated[tuple[Name, ...], BeforeValidator(tuple_of)] = ()
    """Of a training set: test sets that may hold photos of it. Photos in any other test set are refused."""
    crop: Annotated[int, Field(ge=0)] | None = None
    """Border left out of PSNR and SSIM on this test set, instead of the preset's `crop`."""
    protocols: Annotated[tuple[str, ...], BeforeValidator(tuple_of)] | None = None
    """Protocols of this test set, instead of the preset's."""


class TrainingData(Strict):
    """Which dataset the stages train on."""

    hr: Name
    pairs: Name


class EntrySpec(Strict):
    """One row of the tables: a method with settings, under a name."""

    method: Name
    title: str | None = None
    upscales_with: Name | None = None
    """The stage that makes the images, if not the method's last.

    One that trains on HR alone gives the reconstruction of HR.
    """
    weights: Literal["trained", "released"] = "trained"
    """Weights trained here, or the authors' own, of the published configuration."""
    given: Annotated[str, Field(min_length=1)] | None = None
    """For a method that is given something (`given` in method.yaml): file or folder, from the working directory on.

    In the path of a folder of outputs, `{testset}` stands for the test set's name.
    """
    test_on: Annotated[tuple[Name, ...] | None, BeforeValidator(tuple_of)] = None
    """Test sets of this entry, where they are not all of its track, or of the preset where there are no tracks."""
    track: Name | None = None
    """The track that it belongs to, if it is not the first one, or if nothing of it is trained here."""
    stages: dict[Name, StageChange] = {}


def _present(value: Any) -> Any:
    """A mapping without those of its keys that are null."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class TableSpec(Strict):
    """A table of its own: some entries, side by side."""

    title: str
    entries: Annotated[tuple[Name, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    figures: Annotated[tuple[Literal["strip", "plane", "codes", "curves"], ...], BeforeValidator(tuple_of)] = ()
    """Figures of its entries: crops, perception against distortion, use of the codebooks, losses over the training."""
    varies: Annotated[tuple[Name, ...] | None, BeforeValidator(tuple_of)] = None
    """Settings in which its entries may differ. Given, all other settings that they share, and their trainings, must be
    equal, stage by stage: a comparison under one budget."""


class Runtime(Strict):
    """How the work is done; nothing here is part of a run's digest, since nothing here is part of what is computed."""

    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads of a job that runs networks."""
    gpus: Annotated[int, Field(ge=0, le=1)] = 1
    """1: such a job takes a GPU where there is one; 0: it stays on the CPU."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that a training is spread over, each with an equal share of every batch, `threads`, and with `gpus: 1`
    a GPU of its own. What is computed stays the same but for rounding."""
    job_hours: Annotated[Number, Field(gt=0)] = 24.0
    """Most that a training asks a cluster for at a time: one that takes longer goes on in its next attempt."""
    compile: bool = False
    """Whether blocks of a training's networks are compiled by torch (minutes, kept for the next attempt), which changes
    what is computed by rounding alone."""
    checkpoint_seconds: Annotated[Number, Field(gt=0)] = 60.0
    """Time between checkpoints of a training."""
    progress_seconds: Annotated[Number, Field(gt=0)] = 10.0
    """Time between progress lines of a training."""


class Preset(Strict):
    """Entries, datasets, seeds, budgets and widths of one run of the suite.

    In YAML, `extends: NAME` takes all from another preset, by name or path, but for what is given here.
    """

    description: str
    claims: Literal["values", "orderings"]
    """What of the published claims this scale can speak about."""
    downloads: bool
    """Whether metric weights that are absent may be fetched from the network."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    datasets: dict[Name, DatasetSpec]
    train_photos: str | None = None
    """A folder of photos to train on, in place of what `datasets` says of the training sets."""
    data_folder: str = "datasets"
    """Where sets lie, fetched or put there by hand: `<data_folder>/<source>/HR` and `LR`."""
    archives_dir: str | None = None
    """Where the archives lie that they are unpacked from; null: `<data_folder>/archives`."""
    train_on: TrainingData | None = None
    """Left out by a preset that trains nothing: of outputs, weights that are given, and interpolations."""
    test_on: Annotated[tuple[Name, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    tracks: dict[Name, Annotated[tuple[Name, ...], BeforeValidator(tuple_of)]] = {}
    """Test sets by the degradation that they ask about; given, each is in one, so that no table mixes them.

    What is trained belongs to the first track unless it names another. What is not goes along wherever others go,
    unless it names its track or its sets.
    """
    protocols: Annotated[tuple[str, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    crop: Annotated[int, Field(ge=0)] = 4
    """Border left out of PSNR and SSIM, in HR pixels."""
    efficiency: bool = False
    """Whether the cost of each entry (parameters, MACs, time, memory) is part of the whole run; it holds all cores."""
    runtime: Runtime = Runtime()
    tiny: bool = False
    """Start from the smallest settings of each method (`tiny` in its method.yaml) instead of the published ones."""
    training: dict[str, Any] = {}
    """Changes for every stage of every method: one budget for all."""
    methods: dict[Name, dict[Name, StageChange]] = {}
    """Changes for the stages of a method."""
    entries: Annotated[dict[Name, EntrySpec], BeforeValidator(_present), Field(min_length=1)]
    """Rows of the tables. `null` leaves out one of the preset that this one extends."""
    more_entries: Annotated[dict[Name, EntrySpec], BeforeValidator(_present)] = {}
    """Further rows, made when they are asked for: `--config entries=all`, or `entries=[NAME, ...]`."""
    tables: Annotated[dict[Name, TableSpec], BeforeValidator(_present)] = {}
    """Tables by name. `main` holds all entries unless it is given here."""

    def track_of(self, testset: str) -> str | None:
        """The track that a test set is in; None where the preset has no tracks."""
        return next((track for track, sets in self.tracks.items() if testset in sets), None)

    @property
    def training_sets(self) -> set[str]:
        """Datasets that some stage is trained on."""
        stages = [change for method in self.methods.values() for change in method.values()]
        stages += [change for entry in self.entries.values() for change in entry.stages.values()]
        own = {change.trains_on for change in stages if change.trains_on is not None}
        return own | ({self.train_on.hr, self.train_on.pairs} if self.train_on else set())
