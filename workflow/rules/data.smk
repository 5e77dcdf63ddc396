rule prepare:
    output:
        PATHS.manifest("{dataset}"),
    log:
        PATHS.logs / "prepare" / "{dataset}.log",
    threads: PLAN.preset.runtime.threads
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.prepare_key(wildcards.dataset),
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "tvqsr prepare {params.plan} {wildcards.dataset} 2>&1 | tee -i {log:q}"
