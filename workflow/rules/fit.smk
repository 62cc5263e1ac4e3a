"""From tables to laws, intervals and predictions.

NEEDS: results/studies/<study>/tables/.
MAKES: results/studies/<study>/fits/{fits,predictions,…}.parquet.
"""


rule fit_laws:
    """Fit the laws, draw their uncertainty and predict every other cell."""
    input:
        tables=TABLES,
    output:
        FITS,
    log:
        "logs/fit_laws/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.fit(STUDY))),
        code=code_digest("scalebed.predict.study"),
    shell:
        "exec python -m scalebed fit-laws --params {params.spec:q}"
        " --tables results/studies/{wildcards.study:q}/tables"
        " --out results/studies/{wildcards.study:q}/fits > {log:q} 2>&1"
