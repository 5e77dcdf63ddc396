for table in PLAN.tables:

    rule:
        name:
            "main_table" if table == "main" else f"table_{table}"
        input:
            scores=every(PATHS.scores, PLAN.tables[table].entries),
            images=every(PATHS.images_record, PLAN.tables[table].entries),
        output:
            [
                report(
                    PATHS.table(table, testset, kind),
                    category="Tables",
                    caption="../report/table.rst",
                    labels={"table": table, "test set": testset, "format": kind},
                )
                for testset in PLAN.table_sets(table)
                for kind in TABLE_KINDS
            ],
        log:
            PATHS.logs / "table" / f"{table}.log",
        params:
            plan=PLAN_FILE,
            table=table,
            key=PLAN.report_key("tables.py"),
        message:
            "Table {params.table}"
        shell:
            "tvqsr table {params.plan} {params.table} 2>&1 | tee -i {log:q}"


rule bibliography:
    output:
        report(
            PATHS.bibliography,
            category="Tables",
            caption="../report/bibliography.rst",
            labels={"table": "methods", "test set": "", "format": "bib"},
        ),
    log:
        PATHS.logs / "bibliography.log",
    localrule: True
    params:
        plan=PLAN_FILE,
        key=PLAN.report_key("bibliography.py"),
    message:
        "BibTeX of the methods"
    shell:
        "tvqsr bibliography {params.plan} 2>&1 | tee -i {log:q}"


# The paper's ablations: every table beside the main one, and Figure 1c.
rule ablations:
    input:
        [table_files(table) for table in PLAN.tables if table != "main"],
        [PATHS.figure("codebook", kind) for kind in FIGURE_KINDS],


rule figure:
    input:
        figure_inputs,
    output:
        [
            report(
                PATHS.figure("{figure}", kind),
                category="Figures",
                caption="../report/figure.rst",
                labels={"figure": "{figure}", "format": kind},
            )
            for kind in FIGURE_KINDS
        ],
    log:
        PATHS.logs / "figure" / "{figure}.log",
    params:
        plan=PLAN_FILE,
        key=lambda wildcards: PLAN.figure_key(wildcards.figure),
    message:
        "Figure {wildcards.figure}"
    shell:
        "tvqsr figure {params.plan} {wildcards.figure} 2>&1 | tee -i {log:q}"


# `snakemake --cores all check`: fails if a published claim that was run does not hold.
rule check:
    input:
        PATHS.claims,
    log:
        PATHS.logs / "check.log",
    localrule: True
    params:
        results=PATHS.root,
    message:
        "Do the published claims hold?"
    shell:
        "tvqsr check {params.results:q} 2>&1 | tee -i {log:q}"


rule claims:
    input:
        scores=every(PATHS.scores),
        images=every(PATHS.images_record),
        costs=costs("csv"),
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
        tables=[
            PATHS.table(table, testset, "csv")
            for table in PLAN.tables
            for testset in PLAN.table_sets(table)
        ],
        figures=figure_files(),
        scores=every(PATHS.scores),
        images=every(PATHS.images_record),
        runs=run_files(PATHS.run_record),
        curves=run_files(PATHS.curve, trained_only=True),
        claims=PATHS.claims,
        costs=costs("csv"),
        manifests=[PATHS.manifest(name) for name in PLAN.used_datasets],
        overlaps=[PATHS.overlap(name) for name in PLAN.trained_on],
    output:
        report(PATHS.report, category="Page", caption="../report/page.rst"),
    log:
        PATHS.logs / "page.log",
    params:
        plan=PLAN_FILE,
        key=PLAN.page_key(),
    message:
        "The page {output}"
    shell:
        "tvqsr report {params.plan} 2>&1 | tee -i {log:q}"
