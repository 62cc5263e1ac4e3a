"""From text to tokens.

NEEDS: the packages, files or hub data sets the study's corpora name.
MAKES: results/{corpora,tokenizers,tokens,datasets}/…/manifest.json. A manifest vouches by checksum
for the big files beside it, and later stages depend on manifests only.
"""


rule extract_corpus:
    """Read a corpus and split it by a hash of the document id."""
    output:
        "results/corpora/{corpus}/manifest.json",
    log:
        "logs/extract_corpus/{corpus}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    params:
        spec=corpus_params,
        source=corpus_source,
    shell:
        "exec python -m scalebed extract-corpus --params {params.spec:q} --out {output:q}"
        " > {log:q} 2>&1"


rule train_tokenizer:
    """Train a vocabulary on the training split, or fetch one."""
    input:
        corpora=tokenizer_corpora,
    output:
        "results/tokenizers/{tokenizer}/manifest.json",
    log:
        "logs/train_tokenizer/{tokenizer}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    params:
        spec=tokenizer_params,
        source=tokenizer_source,
    shell:
        "exec python -m scalebed train-tokenizer --params {params.spec:q}"
        " --corpora {input.corpora:q} --out {output:q} > {log:q} 2>&1"


rule tokenize_corpus:
    """Turn each split of a corpus into token shards."""
    input:
        corpus="results/corpora/{corpus}/manifest.json",
        tokenizer="results/tokenizers/{tokenizer}/manifest.json",
    output:
        "results/tokens/{tokenizer}/{corpus}/manifest.json",
    log:
        "logs/tokenize_corpus/{tokenizer}/{corpus}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    params:
        spec=verbatim(canonical_json(rule_params.tokens())),
    shell:
        "exec python -m scalebed tokenize-corpus --params {params.spec:q} --corpus {input.corpus:q}"
        " --tokenizer {input.tokenizer:q} --out {output:q} > {log:q} 2>&1"


rule build_dataset:
    """Declare a training distribution: which tokens, in which proportion."""
    input:
        tokens=dataset_tokens,
    output:
        "results/datasets/{dataset}/manifest.json",
    log:
        "logs/build_dataset/{dataset}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **DATA_RESOURCES,
    params:
        spec=dataset_params,
    shell:
        "exec python -m scalebed build-dataset --params {params.spec:q} --tokens {input.tokens:q}"
        " --out {output:q} > {log:q} 2>&1"


rule check_tokens:
    """Refuse the study if a data set is too small for its cells, before any of them trains."""
    input:
        datasets=collect("results/datasets/{dataset}/manifest.json", dataset=NEEDED),
    output:
        "results/studies/{study}/tokens.json",
    log:
        "logs/check_tokens/{study}.log",
    # Before any training.
    priority: 1e30
    localrule: True
    conda:
        "../../envs/train.yaml"
    threads: 1
    params:
        spec=verbatim(canonical_json(ENOUGH_PARAMS)),
        code=code_digest("scalebed.data.enough"),
    shell:
        "exec python -m scalebed check-tokens --params {params.spec:q} --datasets {input.datasets:q}"
        " --out {output:q} > {log:q} 2>&1"
