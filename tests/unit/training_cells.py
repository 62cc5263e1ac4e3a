"""Tiny data sets and cells for the tests of training."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scalebed.core.files import sha256_file, write_json

# Two threads that share a busy core spend their time waiting for each other.
torch.set_num_threads(1)

MODEL = {
    "width": 16,
    "layers": 2,
    "heads": 2,
    "vocab": 64,
    "context": 16,
    "ffn_multiple": 8,
    "qk_norm": True,
    "rope_base": 10000,
}
RECIPE = {
    "backend": "torch",
    "batch_sequences": 4,
    "micro_sequences": None,
    "lr": 1e-2,
    "lr_end": 1e-4,
    "warmup_steps": 5,
    "beta1": 0.9,
    "beta2": 0.95,
    "eps": 1e-8,
    "weight_decay": 1e-4,
    "grad_clip": 1.0,
    "z_loss": 1e-4,
    "init": "depth_scaled",
    "precision": "fp32",
}


def make_dataset(root: Path, tokens: int = 8000, vocab: int = 64) -> Path:
    """Write token shards and a data set of them; return the manifest of the data set.

    The tokens count upwards with a slip now and then, so there is something to learn.
    """
    rng = np.random.default_rng(0)
    ids = (np.cumsum(rng.choice([1, 1, 1, 5], size=tokens)) % vocab).astype("<u2")
    shard = root / "tokens" / "t" / "c" / "train-00000.bin"
    shard.parent.mkdir(parents=True)
    shard.write_bytes(ids.tobytes())
    facts = {"name": shard.name, "tokens": tokens, "bytes": 2 * tokens}
    split = {"tokens": tokens, "documents": 1, "bytes": 3 * tokens}
    split["shards"] = [facts | {"sha256": sha256_file(shard)}]
    about = {"tokenizer": "t", "vocab": vocab, "eot": 0, "dtype": "uint16", "params": {}}
    token_manifest = shard.with_name("manifest.json")
    write_json(
        token_manifest, {"kind": "tokens", "corpus": "c", "splits": {"train": split}} | about
    )
    source = {"corpus": "c", "weight": 1, "tokens": tokens}
    source["manifest"] = "../../tokens/t/c/manifest.json"
    source["manifest_sha256"] = sha256_file(token_manifest)
    manifest = root / "datasets" / "d" / "manifest.json"
    write_json(
        manifest,
        {"kind": "dataset", "dataset": "d", "tokens": tokens, "unique_tokens": tokens}
        | {"sources": [source]}
        | about,
    )
    return manifest


def make_params(steps: int = 30, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Return parameters of a cell; `changes` to model or recipe values go where they belong."""
    model = MODEL | {key: value for key, value in changes.items() if key in MODEL}
    recipe = RECIPE | {key: value for key, value in changes.items() if key in RECIPE}
    rest = {key: value for key, value in changes.items() if key not in MODEL | RECIPE}
    tokens = steps * recipe["batch_sequences"] * model["context"]
    cell = {"dataset": "d", "size": "s", "ratio": 20, "recipe": "base", "seed": seed}
    return {
        "cell": cell,
        "model": model,
        "recipe": recipe,
        "tokens": tokens,
        "steps": steps,
        "numerics": 1,
        **rest,
    }


def start_training(
    folder: Path,
    params: dict[str, Any],
    dataset: Path,
    out: str,
    *more: str,
    verb: str = "train-cell",
) -> subprocess.Popen[str]:
    """Start ``scalebed train-cell``, or another verb, with a checkpoint after every step."""
    command = [sys.executable, "-m", "scalebed", verb, "--params", json.dumps(params)]
    command += ["--dataset", str(dataset), "--out", out, "--checkpoint-seconds", "0", *more]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    # pytest notes the running test there, and shared processes are for one environment.
    environment.pop("PYTEST_CURRENT_TEST", None)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
