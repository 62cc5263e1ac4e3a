"""From results that others published to tables.

NEEDS: a file or folder of results, or a network for the published testbed.
MAKES: results/imports/testbed/manifest.json; results/studies/<study>/tables/.
"""


rule fetch_testbed:
    """Fetch the published testbed at its pinned commit and check it."""
    output:
        "results/imports/testbed/manifest.json",
    log:
        "logs/fetch_testbed.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    shell:
        "exec python -m scalebed fetch-testbed --out {output:q} > {log:q} 2>&1"


rule import_cells:
    """Import the cells of the study and say what each is there for."""
    input:
        source=import_input,
    output:
        TABLES,
    log:
        "logs/import_cells/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.imported(STUDY))),
        source=import_source,
        content=import_content,
        code=code_digest("scalebed.tables.imports.tabulate"),
    shell:
        "exec python -m scalebed import-cells --params {params.spec:q}"
        " --source {params.source:q} --out results/studies/{wildcards.study:q}/tables"
        " > {log:q} 2>&1"
