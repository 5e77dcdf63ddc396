rule tables:
    input:
        scores=every(PATHS.scores),
        images=every(PATHS.images_record),
    output:
        [
            report(
                PATHS.table(testset, kind),
                category="Tables",
                caption="../report/table.rst",
                labels={"test set": testset, "format": kind},
            )
            for testset in TESTSETS
            for kind in TABLE_KINDS
        ],
    log:
        PATHS.logs / "tables.log",
    params:
        plan=PLAN_FILE,
        key=PLAN.report_key("tables.py"),
    message:
        "Tables"
    shell:
        "tvqsr tables {params.plan} 2>&1 | tee -i {log:q}"


rule figure:
    input:
        scores=every(PATHS.scores),
        images=every(PATHS.images_record),
        curves=run_files(PATHS.curve),
    output:
        report(
            PATHS.figure("{figure}"),
            category="Figures",
            caption="../report/figure.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        PATHS.logs / "figure" / "{figure}.log",
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.report_key(f"figures/{wildcards.figure}.py"),
    message:
        "Figure {wildcards.figure}"
    shell:
        "tvqsr figure {params.plan} {wildcards.figure} 2>&1 | tee -i {log:q}"


rule claims:
    input:
        scores=every(PATHS.scores),
        images=every(PATHS.images_record),
    output:
        report(
            PATHS.claims,
            category="Claims",
            caption="../report/claims.rst",
            labels={"claims": "verdicts"},
        ),
    log:
        PATHS.logs / "claims.log",
    params:
        plan=PLAN_FILE,
        key=PLAN.claims_key(),
    message:
        "Verdicts on the published claims"
    shell:
        "tvqsr claims {params.plan} 2>&1 | tee -i {log:q}"


rule page:
    input:
        tables=[PATHS.table(testset, "csv") for testset in TESTSETS],
        figures=[PATHS.figure(name) for name in FIGURES],
        runs=run_files(PATHS.run_record),
        claims=PATHS.claims,
        manifests=[
            PATHS.manifest(name)
            for name in dict.fromkeys(
                [PLAN.preset.train_on.hr, PLAN.preset.train_on.pairs, *TESTSETS]
            )
        ],
    output:
        PATHS.report,
    log:
        PATHS.logs / "page.log",
    params:
        plan=PLAN_FILE,
        key=PLAN.page_key(),
    message:
        "The page {output}"
    shell:
        "tvqsr report {params.plan} 2>&1 | tee -i {log:q}"
