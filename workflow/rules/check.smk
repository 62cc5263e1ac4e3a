"""How far the laws and their intervals can be trusted, measured on the study itself.

NEEDS: results/studies/<study>/{tables/,fits/}.
MAKES: results/studies/<study>/checks/{calibration,tournament,reliability,contrasts}.parquet.
"""


rule calibrate:
    """Measure coverage, width and score of every interval method."""
    input:
        tables=TABLES,
        fits=FITS,
    output:
        "results/studies/{study}/checks/calibration.parquet",
    log:
        "logs/calibrate/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        code=code_digest("scalebed.checks.intervals.calibrate"),
    shell:
        "exec python -m scalebed calibrate results/studies/{wildcards.study}"
        " --out results/studies/{wildcards.study}/checks > {log:q} 2>&1"


rule compare:
    """Let all laws and objectives predict what they were not fitted to."""
    input:
        tables=TABLES,
        fits=FITS,
    output:
        "results/studies/{study}/checks/tournament.parquet",
    log:
        "logs/compare/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 2
    resources:
        **ANALYSIS_RESOURCES,
    params:
        code=code_digest("scalebed.checks.tournament"),
    shell:
        "exec python -m scalebed compare results/studies/{wildcards.study} --only tournament"
        " --workers {threads} --out results/studies/{wildcards.study}/checks > {log:q} 2>&1"


rule compare_tasks:
    """Say of each task how far its error can be predicted from the loss."""
    input:
        tables=TABLES,
        fits=FITS,
    output:
        "results/studies/{study}/checks/reliability.parquet",
    log:
        "logs/compare_tasks/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        code=code_digest("scalebed.checks.reliability"),
    shell:
        "exec python -m scalebed compare results/studies/{wildcards.study} --only reliability"
        " --out results/studies/{wildcards.study}/checks > {log:q} 2>&1"


rule contrast:
    """Compare the data sets pair by pair: compute multiplier, and which is better at a target."""
    input:
        tables=TABLES,
        fits=FITS,
    output:
        "results/studies/{study}/checks/contrasts.parquet",
    log:
        "logs/contrast/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        code=code_digest("scalebed.checks.contrasts"),
    shell:
        "exec python -m scalebed contrast results/studies/{wildcards.study}"
        " --out results/studies/{wildcards.study}/checks > {log:q} 2>&1"
