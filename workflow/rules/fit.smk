"""From tables to laws, intervals and predictions.

NEEDS: results/studies/<study>/tables/.
MAKES: results/studies/<study>/fits/{fits,fit_parameters,draws,predictions}.parquet.
"""


rule fit_laws:
    """Fit the laws, draw their uncertainty and predict every other cell."""
    input:
        tables=TABLES,
    output:
        collect(
            "results/studies/{{study}}/fits/{table}.parquet",
            table=["fits", "fit_parameters", "draws", "predictions"],
        ),
    log:
        "logs/fit_laws/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    params:
        spec=canonical_json(slices.fit(STUDY)),
        code=code_digest("laws", "fit"),
    shell:
        "exec python -m scalebed fit-laws --params {params.spec:q}"
        " --tables results/studies/{wildcards.study}/tables"
        " --out results/studies/{wildcards.study}/fits > {log:q} 2>&1"
