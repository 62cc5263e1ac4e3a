"""A small valid study, as the dictionary a YAML file would give."""

from typing import Any


def study_values() -> dict[str, Any]:
    """Return the values of a study with two data sets, two sizes and three multipliers."""
    size = {"heads": 2, "vocab": 300, "context": 32, "ffn_multiple": 8}
    return {
        "name": "tiny",
        "title": "A tiny study",
        "corpora": {"red": {"reader": "files"}, "blue": {"reader": "files"}},
        "tokenizers": {"bpe": {"kind": "bpe", "vocab": 300, "corpora": ["red", "blue"]}},
        "datasets": {
            "red": {"tokenizer": "bpe", "sources": {"red": 1}},
            "mixed": {"tokenizer": "bpe", "sources": {"red": 1, "blue": 2}},
        },
        "validation": {"blue": {"corpus": "blue"}},
        "tasks": {"suite": "cloze", "corpus": "blue", "tasks": ["one", "two"]},
        "sizes": {
            "small": {"width": 8, "layers": 1, **size},
            "large": {"width": 16, "layers": 2, **size},
        },
        "recipes": {"base": {"batch_sequences": 4, "warmup_steps": 10}},
        "grid": [{"sizes": ["small", "large"], "ratios": [5, 10, 20]}],
        "fit": {
            "loss": "blue",
            "loss_cells": [{"sizes": ["small"]}],
            "targets": [{"sizes": ["large"], "ratios": [20]}],
        },
    }
