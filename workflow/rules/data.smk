# Photos of a training set that are test photos. The job tells what it found; trainings and what is made with them refuse it.
# They read its record as `ancient`: a test set that is added is compared, and trains nothing anew. Snakemake removes what a
# failed job was to write, and makes all anew that reads what is missing, `ancient` or not: so this job does not fail by what it finds.
rule check_overlap:
    input:
        PATHS.manifest("{dataset}"),
        lambda wildcards: [
            PATHS.manifest(name) for name in PLAN.kept_apart(wildcards.dataset)
        ],
    output:
        PATHS.overlap("{dataset}"),
    log:
        PATHS.logs / "check_overlap" / "{dataset}.log",
    threads: whole_machine
    params:
        plan=PLAN_FILE,
        key=PLAN.overlap_key(),
    message:
        "Compare {wildcards.dataset} with the test sets"
    shell:
        "tvqsr check-overlap {params.plan} {wildcards.dataset} --threads {threads} 2>&1 | tee -i {log:q}"


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
