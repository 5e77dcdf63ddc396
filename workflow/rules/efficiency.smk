# What the entries cost: `snakemake --cores all efficiency`. Measured one at a time, on a machine that does nothing else.
rule efficiency:
    input:
        [PATHS.efficiency_table(kind) for kind in COST_KINDS],


rule measure:
    output:
        PATHS.efficiency("{entry}"),
    log:
        PATHS.logs / "measure" / "{entry}.log",
    # All cores, so that no other job disturbs the clock; the job itself uses the preset's `threads`.
    threads: whole_machine
    resources:
        gpu=PLAN.preset.runtime.gpus,
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.efficiency_key(wildcards.entry),
    message:
        "Cost of {wildcards.entry}"
    shell:
        "tvqsr measure-entry {params.plan} {wildcards.entry} 2>&1 | tee -i {log:q}"


rule efficiency_table:
    input:
        [PATHS.efficiency(entry) for entry in PLAN.entries],
    output:
        [
            report(
                PATHS.efficiency_table(kind),
                category="Cost",
                caption="../report/efficiency.rst",
                labels={"format": kind},
            )
            for kind in COST_KINDS
        ],
    log:
        PATHS.logs / "efficiency_table.log",
    params:
        plan=PLAN_FILE,
        key=PLAN.report_key("efficiency.py"),
    message:
        "Table of costs"
    shell:
        "tvqsr efficiency-table {params.plan} 2>&1 | tee -i {log:q}"
