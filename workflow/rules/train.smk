"""From tokens to trained cells.

NEEDS: results/datasets/<dataset>/manifest.json; the checkpoints of cells that were trained elsewhere.
MAKES: results/cells/<cell>/{metrics.json,curve.parquet}, and beside them, undeclared because a
diverged cell has none, model.safetensors and model.json; results/trunks/<trunk>/step=<n>/state.json,
and the state beside it; results/studies/<study>/dropped_states.json, beside trunks.json, which is
written before anything trains. Resumable state lies in state/<cell>/ and state/trunks/, and a
finished cell leaves its record there: see `scalebed.train.finished`.
"""


rule train_trunk:
    """Train a trunk from one state to the next; resumes from state/ when it was interrupted."""
    input:
        dataset="results/datasets/{dataset}/manifest.json",
        enough=leg_enough,
        trunk=trunk_before,
        seal=leg_seal,
    output:
        f"results/trunks/{TRUNK}/step={{step}}/state.json",
    log:
        f"logs/train_trunk/{TRUNK}/step={{step}}.log",
    benchmark:
        f"benchmarks/results/train_trunk/{TRUNK}/step={{step}}.jsonl"
    priority: trunk_priority
    retries: TRAIN_RETRIES
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **TRUNK_RESOURCES,
    params:
        spec=trunk_params,
    shell:
        "exec python -m scalebed train-trunk --params {params.spec:q} --dataset {input.dataset:q}"
        " --trunk {input.trunk:q} --out {output:q} --threads {threads}"
        " --ranks {resources.ranks} --wait-minutes {resources.runtime}"
        " --checkpoint-seconds {resources.checkpoint_seconds} > {log:q} 2>&1"


rule drop_states:
    """Drop the states of trunks that no study lists any more, when the study's cells are done."""
    input:
        collect("results/cells/{cell}/metrics.json", cell=CELLS),
    output:
        "results/studies/{study}/dropped_states.json",
    log:
        "logs/drop_states/{study}.log",
    localrule: True
    conda:
        "../../envs/train.yaml"
    threads: 1
    params:
        spec=verbatim(canonical_json(rule_params.kept_states(STUDY))),
    shell:
        "exec python -m scalebed drop-states --params {params.spec:q} --trunks results/trunks"
        " --studies results/studies --out {output:q} > {log:q} 2>&1"


rule train_cell:
    """Train one cell; resumes from state/ when it was interrupted."""
    input:
        dataset="results/datasets/{dataset}/manifest.json",
        enough=cell_enough,
        trunk=cell_trunk,
        seal=cell_seal,
    output:
        metrics=f"results/cells/{CELL}/metrics.json",
        curve=f"results/cells/{CELL}/curve.parquet",
    log:
        "logs/train_cell/<cell>.log",
    benchmark:
        "benchmarks/results/train_cell/<cell>.jsonl"
    wildcard_constraints:
        recipe=TRAINED,
    priority: train_priority
    retries: TRAIN_RETRIES
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **TRAIN_RESOURCES,
    params:
        spec=cell_params,
    shell:
        "exec python -m scalebed train-cell --params {params.spec:q} --dataset {input.dataset:q}"
        " --trunk {input.trunk:q} --out {output.metrics:q} --threads {threads} --ranks {resources.ranks}"
        " --wait-minutes {resources.runtime}"
        " --checkpoint-seconds {resources.checkpoint_seconds} > {log:q} 2>&1"


rule convert_checkpoint:
    """Take a cell from a checkpoint that others trained with open_lm."""
    input:
        checkpoint=cell_checkpoint,
        tokenizer=cell_tokenizer,
    output:
        metrics=f"results/cells/{CELL}/metrics.json",
        curve=f"results/cells/{CELL}/curve.parquet",
    log:
        "logs/convert_checkpoint/<cell>.log",
    wildcard_constraints:
        recipe=TAKEN,
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **CONVERT_RESOURCES,
    params:
        spec=cell_params,
        digest=checkpoint_digest,
    shell:
        "exec python -m scalebed convert-checkpoint --params {params.spec:q}"
        " --tokenizer {input.tokenizer:q} --out {output.metrics:q} > {log:q} 2>&1"
