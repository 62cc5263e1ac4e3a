"""How far the laws and their intervals can be trusted, measured on the study itself.

NEEDS: results/studies/<study>/{tables/,fits/}.
MAKES: results/studies/<study>/checks/<check>.parquet. A check is a folder of `scalebed.checks`.
"""


rule run_check:
    """Run one check of the study and write its table."""
    input:
        tables=TABLES,
        fits=FITS,
    output:
        "results/studies/{study}/checks/{check}.parquet",
    log:
        "logs/run_check/{study}/{check}.log",
    conda:
        "../../envs/fit.yaml"
    threads: check_threads
    resources:
        **ANALYSIS_RESOURCES,
    params:
        code=check_code,
    shell:
        "exec python -m scalebed run-check {wildcards.check:q} results/studies/{wildcards.study:q}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"
