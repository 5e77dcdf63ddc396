# The plan, asked by every rule. Nothing here imports torch or pandas.
import re
import sys
from signal import SIGTERM

import yaml

from tvqsr.console import say
from tvqsr.engine_lock import hold, note_holder, take_off_stale_lock
from tvqsr.engine_signals import heed_beside
from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import EXPECTED, plan_digest, record


def retyped(value):
    """Snakemake leaves what is inside a list or mapping of `--config` as text: read it as YAML."""
    if isinstance(value, list):
        return [retyped(item) for item in value]
    if isinstance(value, dict):
        return {key: retyped(item) for key, item in value.items()}
    return yaml.safe_load(value) if isinstance(value, str) else value


def load_plan():
    """The plan of `--config preset=...`; other keys of `--config` are laid over the preset."""
    # What Snakemake hands on as text at the top is text: a folder's name, say.
    changes = {
        key: value if isinstance(value, str) else retyped(value)
        for key, value in config.items()
        if key != "preset"
    }
    try:
        return Plan.load(str(config.get("preset", "paper")), changes)
    except UserError as error:
        print(f"tvqsr: error: {error}", file=sys.stderr)
        sys.exit(2)


PLAN = load_plan()
if taken_off := take_off_stale_lock():
    say(taken_off)
# Every job refuses another plan than this one, should `plan.json` be replaced meanwhile.
shell.prefix(f"set -euo pipefail; export {EXPECTED}={plan_digest(record(PLAN))}; ")
PATHS = PLAN.paths
PLAN_FILE = str(PATHS.record)
TESTSETS = PLAN.preset.test_on
COST_KINDS = ("csv", "md", "tex")
TABLE_KINDS = (*COST_KINDS, "intervals.tex")
FIGURE_KINDS = ("png", "pdf")


def hold_results():
    """Be the only Snakemake at this preset's results, or end."""
    try:
        hold(PATHS.root)
    except UserError as error:
        print(f"tvqsr: error: {error}", file=sys.stderr)
        sys.exit(2)


def whole_machine(wildcards):
    """Cores of this machine, where jobs run on it; on a cluster, as many as any job of the preset takes."""
    threads = PLAN.preset.runtime.threads
    return workflow.cores or threads if workflow.local_exec else threads


wildcard_constraints:
    dataset="|".join(PLAN.preset.datasets),
    testset="|".join(TESTSETS),
    entry="|".join(PLAN.entries),
    run="|".join(PLAN.runs) or "none",
    table="|".join(PLAN.tables),
    figure="|".join(map(re.escape, PLAN.figures)),
    seed=r"\d+",


def train_inputs(wildcards):
    """Data and weights that a run needs; none for weights that the authors released."""
    run = PLAN.runs[wildcards.run]
    if run.released:
        return []
    needs = [PATHS.weights(need.name, wildcards.seed) for need in run.needs.values()]
    return [PATHS.manifest(run.dataset), ancient(PATHS.overlap(run.dataset)), *needs]


def upscale_inputs(wildcards):
    """Weights behind an entry; none for a control."""
    run = PLAN.entries[wildcards.entry].run
    lineage = run.lineage() if run else []
    return [PATHS.weights(needed.name, wildcards.seed) for needed in lineage]


def upscale_overlaps(wildcards):
    """What the training sets behind an entry share with the test sets."""
    return [
        ancient(PATHS.overlap(dataset))
        for dataset in PLAN.training_sets_of(wildcards.entry)
    ]


def score_inputs(wildcards):
    """Weights of the auto-encoder that a test set is scored through, where there is one."""
    through = PLAN.autoencoder_on(wildcards.testset)
    if through is None:
        return []
    run, seed = through
    return [PATHS.weights(needed.name, seed) for needed in run.lineage()]


def every(path, entries=None):
    """A path of `PATHS` for all entries (or those named), their seeds and their test sets."""
    return [
        path(name, seed, testset)
        for name in (PLAN.entries if entries is None else entries)
        for seed in PLAN.entries[name].seeds
        for testset in PLAN.test_sets(name)
    ]


def run_files(path, trained_only=False):
    """A path of `PATHS` for all runs and their seeds; `trained_only`: without weights that the authors released."""
    return [
        path(run, seed)
        for run, seed in PLAN.made()
        if not (trained_only and PLAN.runs[run].released)
    ]


def table_files(table):
    """All files of a table."""
    sets = PLAN.table_sets(table)
    return [
        PATHS.table(table, testset, kind) for testset in sets for kind in TABLE_KINDS
    ]


def figure_inputs(wildcards):
    """What a figure is drawn from: scores and images of its entries; of curves, those of their trainings."""
    entries = PLAN.figure_entries(wildcards.figure)
    if wildcards.figure.startswith("curves."):
        lineages = [
            run for entry in entries if entry.run for run in entry.run.lineage()
        ]
        runs = {run.name for run in lineages if not run.released}
        return [PATHS.curve(run, seed) for run, seed in PLAN.made() if run in runs]
    names = [entry.name for entry in entries]
    return every(PATHS.scores, names) + every(PATHS.images_record, names)


def figure_files():
    """All figures in all formats."""
    return [PATHS.figure(name, kind) for name in PLAN.figures for kind in FIGURE_KINDS]


def costs(*kinds):
    """Files of the table of costs, where that is part of the whole run."""
    if not PLAN.preset.efficiency:
        return []
    return [PATHS.efficiency_table(kind) for kind in kinds]


def all_results():
    """What the default target asks for."""
    tables = [path for table in PLAN.tables for path in table_files(table)]
    return [
        PATHS.bibliography,
        *tables,
        *costs(*COST_KINDS),
        *figure_files(),
        PATHS.claims,
        PATHS.report,
    ]
