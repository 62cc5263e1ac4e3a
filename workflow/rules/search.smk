"""From the runs of a search to its frontier and the ladder it proposes.

NEEDS: results/studies/<study>/tables/.
MAKES: results/studies/<study>/search/{runs,search_fits,search_rungs}.parquet and ladder.yaml, a
study file to read and commit.
"""


rule choose_ladder:
    """Take the frontier of the search, fit its laws and propose a ladder."""
    input:
        tables=TABLES,
    output:
        SEARCHED,
        ladder="results/studies/{study}/search/ladder.yaml",
    log:
        "logs/choose_ladder/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.search(SEARCH))),
        code=code_digest("scalebed.search.propose"),
    shell:
        "exec python -m scalebed choose-ladder --params {params.spec:q}"
        " --tables results/studies/{wildcards.study:q}/tables"
        " --out results/studies/{wildcards.study:q}/search > {log:q} 2>&1"
