"""From trained cells to losses and task errors.

NEEDS: results/cells/<cell>/metrics.json, the validation texts as tokens, the items of the suite.
MAKES: results/cells/<cell>/{losses,tasks}.json; results/suites/<suite>/manifest.json.
"""


rule build_suite:
    """Make the items of the locally built tasks."""
    input:
        corpus=suite_corpus,
    output:
        "results/suites/{suite}/manifest.json",
    log:
        "logs/build_suite/{suite}.log",
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    params:
        spec=suite_params,
        code=code_digest("scalebed.evaluate.suites.build"),
    shell:
        "exec python -m scalebed build-suite --params {params.spec:q} --corpus {input.corpus:q}"
        " --out {output:q} > {log:q} 2>&1"


rule evaluate_losses:
    """Measure the loss of a cell on every validation text."""
    input:
        cell="results/cells/<cell>/metrics.json",
        validation=validation_tokens,
    output:
        "results/cells/<cell>/losses.json",
    log:
        "logs/evaluate_losses/<cell>.log",
    priority: LOSS_PRIORITY
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        **LOSS_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.losses(STUDY))),
        validation=validation_arguments,
    shell:
        "exec python -m scalebed evaluate-losses --params {params.spec:q} --cell {input.cell:q}"
        " --validation {params.validation:q} --out {output:q} --threads {threads} > {log:q} 2>&1"


rule evaluate_tasks:
    """Measure the error of a cell on every task of the suite."""
    input:
        cell="results/cells/<cell>/metrics.json",
        suite=suite_manifest,
        tokenizer=cell_tokenizer,
    output:
        "results/cells/<cell>/tasks.json",
    log:
        "logs/evaluate_tasks/<cell>.log",
    priority: TASK_PRIORITY
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        **TASK_RESOURCES,
    params:
        spec=task_params,
        suite=suite_argument,
    shell:
        "exec python -m scalebed evaluate-tasks --params {params.spec:q} --cell {input.cell:q}"
        " {params.suite:q} --tokenizer {input.tokenizer:q} --out {output:q}"
        " --threads {threads} > {log:q} 2>&1"
