"""The card of an exported model: what it is, how good, and on what text it was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scalebed
from scalebed.core.cells import results_of
from scalebed.core.files import read_json
from scalebed.core.shown import in_markdown

_UNKNOWN = "not recorded here"


def card(cell: Path, record: Mapping[str, Any], architecture: str) -> str:
    """Return the README.md of an exported cell, in Markdown with the header of the hub.

    Parameters
    ----------
    cell
        Folder of the cell, in its results; what is not there is said to be not recorded.
    record
        Its ``metrics.json``.
    architecture
        Class of the exported model.
    """
    name = record["cell"]
    title = f"{name['dataset']} {name['size']}, M = {name['ratio']}, seed {name['seed']}"
    losses = "\n".join(_losses(cell)) or "No loss was measured."
    texts = "\n".join(_texts(cell, name["dataset"])) or f"- {_UNKNOWN}"
    return f"""---
library_name: transformers
pipeline_tag: text-generation
license: other
license_name: see-the-training-text
tags:
- scalebed
- scaling-laws
---

# {title}

A model of a scaling-law study, trained by scalebed {record["run"]["scalebed"]} and exported by
scalebed {scalebed.__version__}. It was made to be measured, not to be used.

| | |
|---|---|
{_rows(record, architecture)}

## Loss

{losses}

## Training text

{texts}

Terms of the text may bind who passes these weights on. They are licensed under no terms of their
own until whoever publishes them replaces `license` above.

## Load

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
```

No code of this folder is run. The weights give the logits of the trained model to rounding; they
are not its very numbers: means that its LayerNorms take away are taken off beforehand.
"""


def _rows(record: Mapping[str, Any], architecture: str) -> str:
    name, model = record["cell"], record["params"]["model"]
    shape = f"width {model['width']}, {model['layers']} layers, {model['heads']} heads"
    rows = {
        "architecture": f"`{architecture}`, {shape}, vocabulary {model['vocab']}, "
        f"context {model['context']}",
        "N, parameters": f"{record['counts']['params']:,}",
        "D, training tokens": f"{record['tokens']:,}",
        "M = D/N": f"{record['token_multiplier']:.4g}",
        "C = 6ND, FLOPs": f"{record['flops']:.4g}",
        "data set": name["dataset"],
        "recipe": name["recipe"],
        "seed": name["seed"],
        "trained by": record["backend"],
        "precision of training": record["precision"],
        "SHA-256 of the trained weights": f"`{record['weights_sha256']}`",
    }
    return "\n".join(f"| {key} | {value} |" for key, value in rows.items())


def _losses(cell: Path) -> list[str]:
    path = cell / "losses.json"
    found = read_json(path)["losses"] if path.is_file() else {}
    if not found:
        return []
    head = ["| text | loss, nats per token | 95 % of resampled sequences | bits per byte |"]
    return [
        *(*head, "|---|---|---|---|"),
        *(
            f"| {name} | {row['loss']:.4f} | {row['loss_sequences_lower']:.4f} to "
            f"{row['loss_sequences_upper']:.4f} | {row['bits_per_byte']:.4f} |"
            for name, row in found.items()
        ),
    ]


def _texts(cell: Path, dataset: str) -> list[str]:
    """Return a line for each corpus of the data set: its share, its licence and whom to credit."""
    results = results_of(cell) or cell
    manifest = results / "datasets" / dataset / "manifest.json"
    sources = read_json(manifest)["sources"] if manifest.is_file() else []
    total = sum(source["weight"] for source in sources)
    lines = []
    for source in sources:
        path = results / "corpora" / source["corpus"] / "manifest.json"
        facts = read_json(path) if path.is_file() else {}
        line = f"- {source['corpus']}, {source['weight'] / total:.0%} of the tokens; licence: "
        line += in_markdown(facts.get("licence", _UNKNOWN))
        lines.append(line + (f". {in_markdown(facts['credit'])}" if facts.get("credit") else ""))
    return lines
