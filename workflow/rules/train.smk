# One rule for every stage of every method: what is trained is the run's name, `METHOD.STAGE-DIGEST`.
rule train:
    input:
        train_inputs,
    output:
        weights=PATHS.weights("{run}", "{seed}"),
        record=PATHS.run_record("{run}", "{seed}"),
        curve=PATHS.curve("{run}", "{seed}"),
    log:
        PATHS.logs / "train" / "{run}" / "seed{seed}.log",
    threads: PLAN.preset.runtime.threads * PLAN.preset.runtime.processes
    resources:
        gpu=lambda wildcards: PLAN.preset.runtime.gpus
        * PLAN.preset.runtime.processes
        * (not PLAN.runs[wildcards.run].released),
        runtime=lambda wildcards: PLAN.train_minutes(wildcards.run),
        mem_mb=lambda wildcards: PLAN.preset.runtime.processes
        * PLAN.runs[wildcards.run].spec.resources.memory_mb,
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.train_key(wildcards.run),
    message:
        "Train {wildcards.run}, seed {wildcards.seed}"
    shell:
        "tvqsr train {params.plan} {wildcards.run} --seed {wildcards.seed} 2>&1 | tee -i {log:q}"
