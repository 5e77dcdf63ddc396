# Every other job reads the plan, but is remade by its own key: hence `ancient`.
rule record:
    output:
        PATHS.record,
    log:
        PATHS.logs / "record.log",
    params:
        key=digest(record(PLAN)),
        preset=preset_arguments(),
    message:
        "Write down the plan"
    shell:
        "tvqsr record {params.preset} 2>&1 | tee {log:q}"


rule prepare:
    input:
        plan=ancient(PATHS.record),
    output:
        PATHS.manifest("{dataset}"),
    log:
        PATHS.logs / "prepare" / "{dataset}.log",
    threads: 1
    params:
        key=lambda wildcards: PLAN.prepare_key(wildcards.dataset),
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "tvqsr prepare {input.plan} {wildcards.dataset} 2>&1 | tee {log:q}"
