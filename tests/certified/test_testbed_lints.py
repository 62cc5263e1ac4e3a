"""The general checks on the published testbed: they find what its users found by hand."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import testbed

from scalebed.core import arithmetic
from scalebed.tables.declared.cells import ARGUMENTS, CELLS, LOSSES, TASKS
from scalebed.tables.lints import lint

SIZES = (*testbed.SMALL, "open_lm_1b", "open_lm_7b")
SHAPES = dict(zip(SIZES, arithmetic.SIZE_TABLES["gadre2024"].values(), strict=True))
HYPER = {"lr": "lr", "warmup": "warmup", "wd": "wd", "cd": "cooldown_lr"}
HYPER |= {"global_bs": "batch_sequences", "acc": "accumulation"}
WORDS = {"--lr": "lr", "--warmup": "warmup", "--wd": "wd", "--lr-cooldown-end": "cooldown_lr"}
WORDS |= {"--global-batch-size": "batch_sequences", "--accum-freq": "accumulation"}
WORDS |= {"--train-num-samples": "train_num_samples", "--epochs": "epochs"}


def _date(text: str) -> str:
    return pd.to_datetime(text, format="%Y_%m_%d-%H_%M_%S").isoformat()


def _arguments(record: testbed.Row, evaluation: testbed.Row) -> list[testbed.Row]:
    words = record["open_lm_args"]
    given = dict(pairwise(words))
    hyper = record["hyperparameters"]
    said = [("hyperparameters", HYPER[key], hyper[key]) for key in HYPER if key in hyper]
    said += [("open_lm_args", WORDS[key], given[key]) for key in WORDS if key in given]
    said += [("record", "created", _date(record["creation_date"]))]
    said += [("evaluation", "created", _date(evaluation["creation_date"]))]
    return [{"source": s, "key": key, "value": str(value)} for s, key, value in said]


def _losses(record: testbed.Row) -> list[testbed.Row]:
    rows = []
    for result in record["results"]:
        source = Path(result["val_data"][0])
        row = {name: result[name] for name in ("loss", "sequences", "tokens")}
        row["validation"] = source.stem if "de-en" in source.name else source.parent.name
        for end in ("sequences_lower", "sequences_upper", "tokens_lower", "tokens_upper"):
            row[f"loss_{end}"] = result[f"loss_{end}_95"]
        rows.append(row)
    return rows


def _tables() -> dict[str, pd.DataFrame]:
    root = testbed.folder()
    metadata = pd.read_csv(root / "eval_metadata.csv").set_index("Eval Task")
    found: dict[str, list[testbed.Row]] = {"cells": [], "losses": [], "tasks": [], "arguments": []}
    for path in sorted((root / "models").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        file = root / "evals" / f"evaluation_{path.stem}_heavy.json"
        evaluation = json.loads(file.read_text(encoding="utf-8"))
        hyper, cell = record["hyperparameters"], path.stem
        model = Path(hyper["model"]).stem
        row = {"cell": cell, "dataset": record["dataset_name"], "size": model, "recipe": "base"}
        row |= {"ratio": round(20 * hyper["chinchilla_multiplier"]), "seed": 124, "status": "done"}
        row |= {"params": hyper["params"], "tokens": hyper["tokens"], **SHAPES[model]}
        row["flops"] = arithmetic.flops(row["params"], row["tokens"])
        found["cells"].append(row)
        found["losses"] += [{"cell": cell, **row} for row in _losses(record)]
        for task, accuracy in sorted(evaluation["eval_metrics"]["icl"].items()):
            known = metadata.loc[task]
            score = {"error": 1 - accuracy, "chance_error": 1 - known["Random baseline"] / 100}
            found["tasks"].append(
                {"cell": cell, "task": task, "items": known["#datapoints"], **score}
            )
        found["arguments"] += [{"cell": cell, **row} for row in _arguments(record, evaluation)]
    tables = {table.name: table for table in (CELLS, LOSSES, TASKS, ARGUMENTS)}
    return {
        name: pd.DataFrame(rows, columns=[column.name for column in tables[name].columns])
        for name, rows in found.items()
    }


@pytest.fixture(scope="module")
def lints() -> dict[str, list[testbed.Row]]:
    found = defaultdict(list)
    for row in lint(_tables(), "c4_val"):
        found[row["check_name"]].append(row)
    return found


SEVENS = ["c4_original-open_lm_7b-1.0", "rpj-open_lm_7b-1.0", "rw_original-open_lm_7b-1.0"]


def _cells(lints: dict[str, list[testbed.Row]], check: str) -> list[str]:
    return sorted(row["cell"] for row in lints[check])


def test_stale_arguments_and_batches(lints: dict[str, list[testbed.Row]]) -> None:
    assert _cells(lints, "sources_disagree") == SEVENS
    for row in lints["sources_disagree"]:
        assert "lr (0.0003 by hyperparameters, 0.003 by open_lm_args)" in row["message"]
        assert "warmup (5000 by hyperparameters, 100 by open_lm_args)" in row["message"]
        assert "cooldown_lr (3e-05 by hyperparameters, 3e-04 by open_lm_args)" in row["message"]
    assert _cells(lints, "batch_implausible") == SEVENS
    assert all("batch_sequences of 1 " in row["message"] for row in lints["batch_implausible"])


def test_samples(lints: dict[str, list[testbed.Row]]) -> None:
    found = {row["cell"]: row["message"] for row in lints["samples_contradict_tokens"]}
    wide = {"rw_original-d=576_l=24_h=8-4.0": "0.5", "rw_original-d=576_l=24_h=8-8.0": "0.25"}
    assert set(found) == {*SEVENS, *wide}
    for cell, factor in wide.items():
        assert f" {factor} times " in found[cell]


def test_rising_losses(lints: dict[str, list[testbed.Row]]) -> None:
    found = {
        row["cell"]: (row["severity"], row["message"]) for row in lints["loss_rises_with_tokens"]
    }
    rises = {
        "c4_original-d=1024_l=24_h=8-8.0": "0.0157",
        "c4_original-d=576_l=24_h=8-32.0": "0.0072",
        "rw_original-d=576_l=24_h=8-16.0": "0.0217",
    }
    assert set(found) == set(rises)
    for cell, rise in rises.items():
        assert found[cell][0] == "warning"
        assert f"rises by {rise} " in found[cell][1]
    assert "loss_rises_with_params" not in lints


def test_reruns(lints: dict[str, list[testbed.Row]]) -> None:
    late = {row["cell"] for row in lints["recorded_late"] if row["subject"].startswith("record ")}
    assert late == {
        "c4_original-d=1024_l=24_h=8-16.0",
        "c4_original-d=1024_l=24_h=8-4.0",
        "c4_original-d=576_l=24_h=8-16.0",
        "c4_original-d=576_l=24_h=8-8.0",
        "c4_original-open_lm_1b-4.0",
        "rpj-d=1024_l=24_h=8-16.0",
        "rpj-d=1024_l=24_h=8-32.0",
        "rpj-open_lm_1b-32.0",
        "rw_original-d=1024_l=24_h=8-16.0",
        "rw_original-d=1024_l=24_h=8-32.0",
        "rw_original-d=512_l=8_h=4-32.0",
        "rw_original-open_lm_1b-16.0",
    }
    evaluated = [row for row in lints["recorded_late"] if row["cell"] not in late]
    assert sorted(row["cell"] for row in evaluated) == SEVENS


def test_tasks_at_or_below_guessing(lints: dict[str, list[testbed.Row]]) -> None:
    below = {row["subject"] for row in lints["worse_than_guessing"]}
    stay = {row["subject"] for row in lints["never_above_guessing"]}
    assert below == {
        "arc_challenge",
        "bbq",
        "bigbench_elementary_math_qa",
        "boolq",
        "commonsense_qa",
        "enterprise_pii_classification",
        "mmlu",
        "mmlu_zeroshot",
    }
    assert {"siqa", "bbq", "logi_qa"} <= stay
    assert not stay & {"hellaswag", "lambada_openai", "piqa", "boolq"}


def test_compute_and_the_rest(lints: dict[str, list[testbed.Row]]) -> None:
    (row,) = lints["compute_overflows"]
    assert row["cell"] is None
    assert row["severity"] == "note"
    assert "47 cells" in row["message"]
    for check in ("params_contradict_shape", "evaluations_missing"):
        assert check not in lints
