"""From tables and fits to the database.

NEEDS: results/studies/<study>/{tables/,fits/,checks/}, or {tables/,search/} of a search.
MAKES: results/studies/<study>/{parquet/,study.duckdb}.
"""


rule gather_study:
    """Write everything known about the study into one database."""
    input:
        corpora=CORPUS_MANIFESTS,
        published=published_numbers,
        tables=TABLES,
        fits=FITS,
        search=SEARCHED,
        judged=JUDGED,
        checks=collect(
            "results/studies/{{study}}/checks/{check}.parquet",
            check=rule_params.checks(STUDY),
        ),
    output:
        database="results/studies/{study}/study.duckdb",
        copies=collect(
            "results/studies/{{study}}/parquet/{table}.parquet",
            table=rule_params.DATABASE_TABLES,
        ),
    log:
        "logs/gather_study/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.report(DECLARED))),
        code=code_digest("scalebed.tables.database"),
        published=published_argument,
        judged=judged_argument,
    shell:
        "exec python -m scalebed gather-study --params {params.spec:q}"
        " --tables results/studies/{wildcards.study:q}/tables"
        " --fits results/studies/{wildcards.study:q}/fits"
        " --checks results/studies/{wildcards.study:q}/checks --corpora {input.corpora:q}"
        " --search results/studies/{wildcards.study:q}/search"
        " {params.judged:q} {params.published:q} --out {output.database:q} > {log:q} 2>&1"
