"""The published testbed of the paper as the tables of a study, for certified tests."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]

SMALL = ("d=96_l=8_h=4", "d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8")
# The 17 of 46 tasks that some 0.154B model solves 10 points better than chance (paper, 3.4).
SUBSET = frozenset(
    (
        "pubmed_qa_labeled",
        "bigbench_qa_wikidata",
        "bigbench_cs_algorithms",
        "lambada_openai",
        "bigbench_novel_concepts",
        "arc_easy",
        "bigbench_dyck_languages",
        "piqa",
        "bigbench_operators",
        "copa",
        "coqa",
        "hellaswag",
        "boolq",
        "squad",
        "hellaswag_zeroshot",
        "winograd",
        "commonsense_qa",
    )
)


def folder() -> Path:
    """Where the testbed is; skips the test if it is not there."""
    beside = Path(__file__).parents[3] / "shared" / "testbed"
    path = Path(os.environ.get("SCALEBED_TESTBED", beside)) / "exp_data"
    if not path.is_dir():
        pytest.skip(f"no published testbed at {path}: set SCALEBED_TESTBED")
    return path


def tables(least_ratio: float = 20.0, tasks: frozenset[str] = SUBSET) -> dict[str, list[Row]]:
    """Rows of cells, losses and tasks; the paper's fit cells, every larger model a target."""
    root = folder()
    with (root / "eval_metadata.csv").open(encoding="utf-8") as file:
        items = {row["Eval Task"]: int(row["#datapoints"]) for row in csv.DictReader(file)}
    result: dict[str, list[Row]] = {"cells": [], "losses": [], "tasks": []}
    for path in sorted((root / "models").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        cell = _cell(record)
        if cell["ratio"] < least_ratio:
            continue
        result["cells"].append(cell)
        for found in record["results"]:
            source = Path(found["val_data"][0])
            name = source.stem if "de-en" in source.name else source.parent.name
            result["losses"].append(
                {"cell": cell["cell"], "validation": name, "loss": found["loss"]}
            )
        evaluation = root / "evals" / f"evaluation_{record['name']}_heavy.json"
        scores = json.loads(evaluation.read_text(encoding="utf-8"))["eval_metrics"]["icl"]
        for task in sorted(tasks):
            result["tasks"].append(
                {
                    "cell": cell["cell"],
                    "task": task,
                    "error": 1 - scores[task],
                    "error_stderr": None,
                    "items": items[task],
                    "in_average": True,
                }
            )
    return result


def _cell(record: Row) -> Row:
    hyper = record["hyperparameters"]
    model = Path(hyper["model"]).stem
    ratio = round(20 * hyper["chinchilla_multiplier"])
    loss_fit = (model in SMALL and ratio == 20) or (model == SMALL[0] and ratio == 320)
    error_fit = loss_fit or (model == "open_lm_1b" and ratio == 20)
    return {
        "cell": record["name"],
        "dataset": record["dataset_name"],
        "recipe": "base",
        "seed": 124,
        "ratio": ratio,
        "status": "done",
        "fit_loss": loss_fit,
        "fit_error": error_fit,
        "target": model not in SMALL,
        "params": hyper["params"],
        "tokens": hyper["tokens"],
        "flops": 6.0 * hyper["params"] * hyper["tokens"],
    }
