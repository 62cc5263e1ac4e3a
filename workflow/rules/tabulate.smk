"""From records of cells to tables.

NEEDS: the records of every cell of the study.
MAKES: results/studies/<study>/{cells.tsv,tables/}.
"""


rule list_cells:
    """Write the expanded grid for people to read."""
    output:
        "results/studies/{study}/cells.tsv",
    log:
        "logs/list_cells/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.cell_list(STUDY))),
        code=code_digest("scalebed.plan.listing", "scalebed.core.files"),
    shell:
        "exec python -m scalebed list-cells --params {params.spec:q} --out {output:q}"
        " > {log:q} 2>&1"


rule tabulate_cells:
    """Gather the records of the study's cells into tables."""
    input:
        CELL_RECORDS,
        CELL_CURVES,
    output:
        TABLES,
    log:
        "logs/tabulate_cells/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.tables(STUDY))),
        code=code_digest("scalebed.tables.tabulate"),
    shell:
        "exec python -m scalebed tabulate-cells --params {params.spec:q} --cells results/cells"
        " --out results/studies/{wildcards.study:q}/tables > {log:q} 2>&1"
