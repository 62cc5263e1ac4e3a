"""The checks on small made-up studies: silent on clean data, one finding on each flaw."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from scalebed.core import arithmetic
from scalebed.tables.declared.cells import ARGUMENTS, CELLS, LOSSES, TASKS
from scalebed.tables.lints import CHECKS, lint
from scalebed.tables.lints.base import Tables

Row = dict[str, Any]
SCHEMAS = {table.name: table for table in (CELLS, LOSSES, TASKS, ARGUMENTS)}
SMALL = arithmetic.Shape(64, 2, 2, 1000, 128)
LARGE = arithmetic.Shape(128, 4, 4, 1000, 128)


def _study() -> dict[str, list[Row]]:
    """Two sizes at three ratios with losses, a task, and a record of two parts."""
    rows: dict[str, list[Row]] = {name: [] for name in SCHEMAS}
    for size, shape, gain in (("small", SMALL, 0.0), ("large", LARGE, 0.5)):
        params = arithmetic.count_params(shape).total
        for number, ratio in enumerate((10, 20, 40)):
            cell = f"{size}/{ratio}"
            tokens = ratio * params
            rows["cells"].append(
                {
                    **{"cell": cell, "dataset": "made", "size": size, "ratio": ratio},
                    **{"recipe": "base", "seed": 0, "status": "done", "params": params},
                    **{"tokens": tokens, "flops": arithmetic.flops(params, tokens)},
                    **asdict(shape),
                }
            )
            loss = 4 - gain - 0.2 * number
            ends = {"loss_sequences_lower": loss - 0.05, "loss_sequences_upper": loss + 0.05}
            rows["losses"].append({"cell": cell, "validation": "val", "loss": loss, **ends})
            score = {"error": 0.7 - 0.05 * number, "chance_error": 0.75, "items": 10_000}
            rows["tasks"].append({"cell": cell, "task": "quiz", **score})
            said = {"lr": "0.003", "batch_sequences": "8", "created": f"2024-01-0{number + 1}"}
            words = {"lr": "3e-3", "train_num_samples": str(tokens // 2), "epochs": "2"}
            for source, values in (("first", said), ("second", words)):
                rows["arguments"] += [
                    {"cell": cell, "source": source, "key": key, "value": value}
                    for key, value in values.items()
                ]
    return rows


def _frames(rows: dict[str, list[Row]]) -> Tables:
    return {
        name: pd.DataFrame(rows[name], columns=[column.name for column in table.columns])
        for name, table in SCHEMAS.items()
    }


def _lint(rows: dict[str, list[Row]]) -> list[Row]:
    return lint(_frames(rows), "val")


def _only(rows: dict[str, list[Row]], check: str) -> Row:
    (row,) = _lint(rows)
    assert row["check_name"] == check
    return row


def _set(rows: dict[str, list[Row]], cell: str, source: str, key: str, value: str) -> None:
    (row,) = (
        row
        for row in rows["arguments"]
        if (row["cell"], row["source"], row["key"]) == (cell, source, key)
    )
    row["value"] = value


def test_clean_data_is_not_remarked_on() -> None:
    assert _lint(_study()) == []


@pytest.mark.parametrize("name", [*SCHEMAS])
def test_empty_tables_are_not_remarked_on(name: str) -> None:
    rows = _study()
    rows[name] = []
    assert _lint(rows) == []
    assert _lint({name: [] for name in SCHEMAS}) == []


def test_unknown_columns_are_not_remarked_on() -> None:
    rows = _study()
    for row in rows["cells"]:
        for column in ("width", "layers", "heads", "vocab", "context"):
            row[column] = None
    for row in rows["losses"]:
        row["loss_sequences_lower"] = None
    for row in rows["tasks"]:
        row["chance_error"] = None
    assert _lint(rows) == []


def test_order_is_that_of_the_checks() -> None:
    rows = _study()
    rows["losses"][1]["loss"] = 4.5
    _set(rows, "small/10", "first", "lr", "0.1")
    _set(rows, "large/10", "first", "lr", "0.1")
    found = _lint(rows)
    names = [check.__name__ for check in CHECKS]
    assert [names.index(row["check_name"]) for row in found] == sorted(
        names.index(row["check_name"]) for row in found
    )
    assert [row["cell"] for row in found][:2] == ["large/10", "small/10"]
    rows["arguments"].reverse()
    rows["cells"].reverse()
    assert _lint(rows) == found


def test_disagreeing_sources() -> None:
    rows = _study()
    _set(rows, "small/20", "second", "lr", "0.1")
    row = _only(rows, "sources_disagree")
    assert (row["cell"], row["severity"]) == ("small/20", "warning")
    assert "lr (0.003 by first, 0.1 by second)" in row["message"]


def test_implausible_batch() -> None:
    rows = _study()
    _set(rows, "large/40", "first", "batch_sequences", "0.01")
    row = _only(rows, "batch_implausible")
    assert row["cell"] == "large/40"
    assert "0.01 (first)" in row["message"]
    assert "others have 8." in row["message"]


def test_samples_that_contradict_tokens() -> None:
    rows = _study()
    _set(rows, "small/20", "second", "epochs", "8")
    row = _only(rows, "samples_contradict_tokens")
    assert row["cell"] == "small/20"
    assert " 4 times " in row["message"]


def test_params_that_contradict_the_shape() -> None:
    rows = _study()
    for argument in rows["arguments"]:
        argument["key"] = "other " + argument["key"]
    rows["cells"][0]["params"] += 1
    row = _only(rows, "params_contradict_shape")
    assert row["cell"] == "small/10"


def test_missing_evaluations() -> None:
    rows = _study()
    rows["tasks"].append(rows["tasks"][0] | {"task": "other"})
    missing = _lint(rows)
    assert [row["check_name"] for row in missing] == ["evaluations_missing"] * 5
    assert missing[0]["message"] == "1 task of 2 that other cells have is missing: other."


@pytest.mark.parametrize(
    ("loss", "severity", "words"),
    [(4.2, "warning", "do not overlap"), (4.01, "note", "intervals overlap")],
)
def test_loss_that_rises_with_tokens(loss: float, severity: str, words: str) -> None:
    rows = _study()
    rows["losses"][1] |= {
        "loss": loss,
        "loss_sequences_lower": loss - 0.05,
        "loss_sequences_upper": loss + 0.05,
    }
    row = _only(rows, "loss_rises_with_tokens")
    assert (row["cell"], row["severity"]) == ("small/20", severity)
    assert words in row["message"]
    assert "M goes from 10 to 20" in row["message"]


def test_loss_that_rises_with_params() -> None:
    rows = _study()
    rows["losses"][3]["loss"] = 4.1
    rows["losses"][3]["loss_sequences_lower"] = None
    row = _only(rows, "loss_rises_with_params")
    assert row["cell"] == "large/10"
    assert "no evaluation intervals" in row["message"]


def test_tasks_at_and_below_guessing() -> None:
    rows = _study()
    for cell in rows["cells"]:
        score = {"cell": cell["cell"], "task": "luck", "chance_error": 0.5, "items": 100}
        rows["tasks"].append(score | {"error": 0.48})
    assert _only(rows, "never_above_guessing")["subject"] == "luck"
    rows["tasks"][-1]["error"] = 0.9
    found = _lint(rows)
    assert [row["check_name"] for row in found] == ["worse_than_guessing", "never_above_guessing"]
    assert "1 of 6 models" in found[0]["message"]


def test_late_records() -> None:
    rows = _study()
    _set(rows, "large/40", "first", "created", "2024-02-20T10:00:00")
    _set(rows, "large/20", "first", "created", "not known")
    row = _only(rows, "recorded_late")
    assert (row["cell"], row["severity"]) == ("large/40", "note")
    assert "48 days after 2024-01-03, by which 4 of 5" in row["message"]


def test_overflow() -> None:
    rows = _study()
    rows["arguments"] = []
    rows["cells"][-1] |= {"tokens": 10**13, "flops": 1e20}
    row = _only(rows, "compute_overflows")
    assert row["cell"] is None
    assert row["message"].startswith("6ND of 1 cell is above") and "(large/40)" in row["message"]
