"""From tokens to trained cells.

NEEDS: results/datasets/<dataset>/manifest.json; the checkpoints of cells that were trained elsewhere.
MAKES: results/cells/<cell>/{metrics.json,curve.parquet}, and beside them, undeclared because a
diverged cell has none, model.safetensors and model.json. Resumable state lies in state/<cell>/, and a
finished cell leaves its record there: see `scalebed.train.finished`.
"""


rule train_cell:
    """Train one cell; resumes from state/ when it was interrupted."""
    input:
        dataset="results/datasets/{dataset}/manifest.json",
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
        " --out {output.metrics:q} --threads {threads} --ranks {resources.ranks}"
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
