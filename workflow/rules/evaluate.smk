rule upscale:
    input:
        data=PATHS.manifest("{testset}"),
        weights=upscale_inputs,
        overlaps=upscale_overlaps,
    output:
        PATHS.images_record("{entry}", "{seed}", "{testset}"),
    log:
        PATHS.logs / "upscale" / "{entry}" / "seed{seed}" / "{testset}.log",
    threads: PLAN.preset.runtime.threads
    resources:
        gpu=PLAN.preset.runtime.gpus,
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.upscale_key(wildcards.entry),
        given=lambda wildcards: PLAN.given_key(wildcards.entry, wildcards.testset),
    message:
        "Images of {wildcards.entry}, seed {wildcards.seed}, on {wildcards.testset}"
    shell:
        "tvqsr upscale-entry {params.plan} {wildcards.entry} {wildcards.testset} --seed {wildcards.seed} 2>&1 | tee -i {log:q}"


rule score:
    input:
        data=PATHS.manifest("{testset}"),
        images=PATHS.images_record("{entry}", "{seed}", "{testset}"),
        weights=score_inputs,
    output:
        PATHS.scores("{entry}", "{seed}", "{testset}"),
    log:
        PATHS.logs / "score" / "{entry}" / "seed{seed}" / "{testset}.log",
    threads: PLAN.preset.runtime.threads
    resources:
        gpu=PLAN.preset.runtime.gpus,
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.score_key(wildcards.testset),
        images=lambda wildcards: PLAN.upscale_key(wildcards.entry),
    message:
        "Scores of {wildcards.entry}, seed {wildcards.seed}, on {wildcards.testset}"
    shell:
        "tvqsr score-entry {params.plan} {wildcards.entry} {wildcards.testset} --seed {wildcards.seed} 2>&1 | tee -i {log:q}"
