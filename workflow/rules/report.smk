rule tables:
    input:
        plan=ancient(PATHS.record),
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
        key=PLAN.report_key("tables.py"),
    message:
        "Tables"
    shell:
        "tvqsr tables {input.plan} 2>&1 | tee {log:q}"


rule figure:
    input:
        plan=ancient(PATHS.record),
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
        key=lambda wildcards: PLAN.report_key(f"figures/{wildcards.figure}.py"),
    message:
        "Figure {wildcards.figure}"
    shell:
        "tvqsr figure {input.plan} {wildcards.figure} 2>&1 | tee {log:q}"


rule claims:
    input:
        plan=ancient(PATHS.record),
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
        key=PLAN.claims_key(),
    message:
        "Verdicts on the published claims"
    shell:
        "tvqsr claims {input.plan} 2>&1 | tee {log:q}"


rule page:
    input:
        plan=ancient(PATHS.record),
        tables=[PATHS.table(testset, "csv") for testset in TESTSETS],
        figures=[PATHS.figure(name) for name in FIGURES],
        runs=run_files(PATHS.run_record),
        claims=PATHS.claims,
    output:
        PATHS.report,
    log:
        PATHS.logs / "page.log",
    params:
        key=PLAN.report_key("page.py"),
    message:
        "The page {output}"
    shell:
        "tvqsr report {input.plan} 2>&1 | tee {log:q}"
