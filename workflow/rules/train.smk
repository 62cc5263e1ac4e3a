"""From tokens to trained cells.

NEEDS: results/datasets/<dataset>/manifest.json.
MAKES: results/cells/<cell>/{metrics.json,curve.parquet}, and beside them, undeclared because a
diverged cell has none, model.safetensors and model.json. Resumable state lies in state/<cell>/, and a
finished cell leaves its record there: see `scalebed.train.kept`.
"""


rule train_cell:
    """Train one cell; resumes from state/ when it was interrupted."""
    input:
        dataset="results/datasets/{dataset}/manifest.json",
    output:
        metrics="results/cells/<cell>/metrics.json",
        curve="results/cells/<cell>/curve.parquet",
    log:
        "logs/train_cell/<cell>.log",
    benchmark:
        "benchmarks/results/train_cell/<cell>.jsonl"
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
        " --out {output.metrics:q} --threads {threads} --wait-minutes {resources.runtime}"
        " --checkpoint-seconds {resources.checkpoint_seconds} > {log:q} 2>&1"
