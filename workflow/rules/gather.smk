"""From records of cells to tables, and from tables to the database.

NEEDS: the records of every cell of the study; its fits.
MAKES: results/studies/<study>/{cells.tsv,tables/,parquet/,study.duckdb}.
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
    params:
        spec=canonical_json(slices.cell_list(STUDY)),
    shell:
        "exec python -m scalebed list-cells --params {params.spec:q} --out {output:q}"
        " > {log:q} 2>&1"


rule tabulate_cells:
    """Gather the records of the study's cells into tables."""
    input:
        CELL_RECORDS,
        CELL_CURVES,
    output:
        collect(
            "results/studies/{{study}}/tables/{table}.parquet",
            table=["cells", "curves", "losses", "tasks", "provenance"],
        ),
    log:
        "logs/tabulate_cells/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    params:
        spec=canonical_json(slices.tables(STUDY)),
        code=code_digest("store"),
    shell:
        "exec python -m scalebed tabulate-cells --params {params.spec:q} --cells results/cells"
        " --out results/studies/{wildcards.study}/tables > {log:q} 2>&1"


rule gather_study:
    """Write everything known about the study into one database."""
    input:
        corpora=CORPUS_MANIFESTS,
        tables=rules.tabulate_cells.output,
        fits=collect(
            "results/studies/{{study}}/fits/{table}.parquet",
            table=["fits", "fit_parameters", "draws", "predictions"],
        ),
    output:
        database="results/studies/{study}/study.duckdb",
        copies=collect(
            "results/studies/{{study}}/parquet/{table}.parquet",
            table=["cells", "curves", "losses", "tasks", "fits", "fit_parameters"]
            + ["draws", "predictions", "provenance"],
        ),
    log:
        "logs/gather_study/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    params:
        spec=canonical_json(slices.report(STUDY)),
        code=code_digest("store"),
    shell:
        "exec python -m scalebed gather-study --params {params.spec:q}"
        " --tables results/studies/{wildcards.study}/tables"
        " --fits results/studies/{wildcards.study}/fits --corpora {input.corpora:q}"
        " --out {output.database:q} > {log:q} 2>&1"
