"""From the records of all cells but the targets to sealed predictions.

NEEDS: the records of every cell of the study that is no target.
MAKES: results/studies/<study>/sealed.json. Left out once a target has begun to train.
"""


rule seal_predictions:
    """Seal what the laws predict for the targets, before any of them trains."""
    input:
        collect(
            "results/cells/{cell}/{record}",
            cell=[cell for cell in CELLS if cell not in WAITING],
            record=[
                "curve.parquet",
                *(f"{name}.json" for name in ["metrics", *EVALUATIONS]),
            ],
        ),
    output:
        "results/studies/{study}/sealed.json",
    log:
        "logs/seal_predictions/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(SEAL_PARAMS),
        code=code_digest("scalebed.watch.sealed_study"),
        begun=BEGUN,
    shell:
        "exec python -m scalebed seal-predictions --params {params.spec:q} --code {params.code}"
        " --cells results/cells --begun {params.begun:q} --out {output:q} > {log:q} 2>&1"
