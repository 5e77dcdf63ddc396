"""Every path under `results/`, spelled here and nowhere else. Arguments may be Snakemake wildcards like `{entry}`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path("results")
BENCHMARKS = RESULTS / "benchmarks"
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Paths:
    """Paths of one preset's results."""

    root: Path

    def dataset(self, dataset: str) -> Path:
        return self.root / "data" / dataset

    def manifest(self, dataset: str) -> Path:
        return self.dataset(dataset) / "manifest.json"

    def overlap(self, dataset: str) -> Path:
        return self.dataset(dataset) / "overlap.json"

    def features(self, testset: str) -> Path:
        return self.dataset(testset) / "features"

    def run(self, run: str, seed: int | str) -> Path:
        return self.root / "runs" / run / f"seed{seed}"

    def weights(self, run: str, seed: int | str) -> Path:
        return self.run(run, seed) / "weights.safetensors"

    def run_record(self, run: str, seed: int | str) -> Path:
        return self.run(run, seed) / "run.json"

    def curve(self, run: str, seed: int | str) -> Path:
        return self.run(run, seed) / "curve.csv"

    def images(self, entry: str, seed: int | str, testset: str) -> Path:
        return self.root / "images" / entry / f"seed{seed}" / testset

    def images_record(self, entry: str, seed: int | str, testset: str) -> Path:
        return self.images(entry, seed, testset) / "run.json"

    def scores(self, entry: str, seed: int | str, testset: str) -> Path:
        return self.root / "scores" / entry / f"seed{seed}" / f"{testset}.parquet"

    def table(self, table: str, testset: str, kind: str) -> Path:
        return self.root / "tables" / f"{table}.{testset}.{kind}"

    def efficiency(self, entry: str) -> Path:
        return self.root / "efficiency" / f"{entry}.json"

    def efficiency_table(self, kind: str) -> Path:
        return self.root / "tables" / f"efficiency.{kind}"

    @property
    def bibliography(self) -> Path:
        return self.root / "tables" / "methods.bib"

    def figure(self, name: str, kind: str) -> Path:
        return self.root / "figures" / f"{name}.{kind}"

    def download(self, file: str) -> Path:
        return self.root / "downloads" / file

    @property
    def record(self) -> Path:
        return self.root / PLAN_FILE

    @property
    def claims(self) -> Path:
        return self.root / "claims.csv"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def logs(self) -> Path:
        return self.root / "logs"
