"""From sealed predictions and what the targets gave to a judgement.

NEEDS: results/studies/<study>/{sealed.json,tables/}.
MAKES: results/studies/<study>/judged.parquet.
"""


rule judge_predictions:
    """Judge the sealed predictions by what the targets gave."""
    input:
        seal="results/studies/{study}/sealed.json",
        tables=TABLES,
    output:
        "results/studies/{study}/judged.parquet",
    log:
        "logs/judge_predictions/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(SEAL_PARAMS),
        code=code_digest("scalebed.watch.judged_study"),
        sealed_with=SEAL_CODE,
    shell:
        "exec python -m scalebed judge-predictions --params {params.spec:q}"
        " --code {params.sealed_with:q} --seal {input.seal:q} --cells results/cells"
        " --tables results/studies/{wildcards.study:q}/tables --out {output:q} > {log:q} 2>&1"
