# The whole reproduction. `snakemake --cores all` runs the preset `paper`; `--config preset=mini` the laptop's; `preset=mine.yaml` your own.
from snakemake.utils import min_version

min_version("9.19")


report: "workflow/report/workflow.rst"


# Only used with `--sdm apptainer`; elsewhere `uv run` gives every job the locked environment.
container: "docker://python:3.12-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/efficiency.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        all_results(),


# Every job reads the plan. It is no job's output: a job behind a changed file is not asked whether it changed itself.
onstart:
    heed_beside(SIGTERM)
    hold_results()
    locked = workflow.persistence
    note_holder(
        {
            "input": map(str, locked.all_inputfiles()),
            "output": map(str, locked.all_outputfiles()),
        }
    )
    write_json(PATHS.record, record(PLAN))


onsuccess:
    if PATHS.report.is_file():
        shell("tvqsr show {PATHS.root:q}")
