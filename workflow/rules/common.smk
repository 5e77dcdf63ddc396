# The plan, asked by every rule. Nothing here imports torch or pandas.
import sys

import yaml

from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.plan import FIGURES
from tvqsr.plan.stored import record


def retyped(value):
    """Snakemake leaves what is inside a list or mapping of `--config` as text: read it as YAML."""
    if isinstance(value, list):
        return [retyped(item) for item in value]
    if isinstance(value, dict):
        return {key: retyped(item) for key, item in value.items()}
    return yaml.safe_load(value) if isinstance(value, str) else value


def load_plan():
    """The plan of `--config preset=...`; other keys of `--config` change top-level keys of the preset."""
    changes = {key: retyped(value) for key, value in config.items() if key != "preset"}
    try:
        return Plan.load(str(config.get("preset", "paper")), changes)
    except UserError as error:
        print(f"tvqsr: error: {error}", file=sys.stderr)
        sys.exit(2)


PLAN = load_plan()
PATHS = PLAN.paths
PLAN_FILE = str(PATHS.record)
TESTSETS = PLAN.preset.test_on
TABLE_KINDS = ("csv", "md", "tex")


wildcard_constraints:
    dataset="|".join(PLAN.preset.datasets),
    testset="|".join(TESTSETS),
    entry="|".join(PLAN.entries),
    run="|".join(PLAN.runs) or "none",
    figure="|".join(FIGURES),
    seed=r"\d+",


def train_inputs(wildcards):
    """Weights that a run needs."""
    needs = PLAN.runs[wildcards.run].needs.values()
    return [PATHS.weights(need.name, wildcards.seed) for need in needs]


def upscale_inputs(wildcards):
    """Weights behind an entry; none for a control."""
    run = PLAN.entries[wildcards.entry].run
    lineage = run.lineage() if run else []
    return [PATHS.weights(needed.name, wildcards.seed) for needed in lineage]


def efficiency_weights(wildcards):
    """Weights behind the seed of an entry that is measured; none for a control."""
    entry = PLAN.entries[wildcards.entry]
    lineage = entry.run.lineage() if entry.run else []
    return [PATHS.weights(needed.name, entry.seeds[0]) for needed in lineage]


def every(path):
    """A path of `PATHS` for all entries, their seeds and all test sets."""
    return [
        path(name, seed, testset)
        for name, entry in PLAN.entries.items()
        for seed in entry.seeds
        for testset in TESTSETS
    ]


def run_files(path):
    """A path of `PATHS` for all runs and seeds."""
    return [path(run, seed) for run in PLAN.runs for seed in PLAN.preset.seeds]


def all_results():
    """What the default target asks for."""
    tables = [
        PATHS.table(testset, kind) for testset in TESTSETS for kind in TABLE_KINDS
    ]
    figures = [PATHS.figure(name) for name in FIGURES]
    return [*tables, *figures, PATHS.claims, PATHS.report]
