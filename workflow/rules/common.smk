# The plan, asked by every rule. Nothing here imports torch or pandas.
import shlex
import sys

import yaml

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.digest import digest
from tvqsr.plan.plan import FIGURES
from tvqsr.plan.stored import record


def load_plan():
    """The plan of `--config preset=...`; other keys of `--config` change top-level keys of the preset."""
    changes = {key: value for key, value in config.items() if key != "preset"}
    try:
        return Plan.load(str(config.get("preset", "paper")), changes)
    except UserError as error:
        print(f"tvqsr: error: {error}", file=sys.stderr)
        sys.exit(2)


def preset_arguments():
    """The same preset for `tvqsr record`, which writes the plan that all other steps read."""
    words = ["--preset", str(config.get("preset", "paper"))]
    for key, value in config.items():
        if key != "preset":
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6)
            words += [
                "--set",
                f"{key}={text.removesuffix(chr(10)).removesuffix(chr(10) + '...')}",
            ]
    return shlex.join(words)


PLAN = load_plan()
PATHS = PLAN.paths
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
    return [*tables, *figures, PATHS.claims, PATHS.report, PATHS.record]
