"""One record of the published testbed: its losses, or its scores of tasks."""

import csv
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from scalebed.core.errors import ScalebedError
from scalebed.tables.arrow import is_finite_number
from scalebed.tables.imports.base import Row

_VALIDATION = {
    "c4_val": "c4_val",
    "openlm": "openlm",
    "de-en": "c4_german",
    "paloma_c4_en": "paloma_c4_en",
    "paloma_redpajama": "paloma_redpajama",
    "paloma_falcon-refinedweb": "paloma_refinedweb",
    "paloma_dolma_100_programing_languages": "paloma_programming_languages",
    "paloma_ptb": "paloma_ptb",
}
_ROUNDED = 1e-6  # beyond 0 and 1, of accuracies in single precision


class BrokenRecordError(Exception):
    """A file does not hold what it should; the text says which file, where, and what."""


def read(file: Path) -> Row:
    """Return a record."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BrokenRecordError(f"cannot read {file.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenRecordError(f"{file.name} is not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise BrokenRecordError(f"{file.name} holds a {type(record).__name__}, expected an object")
    return record


def number(file: Path, values: Any, key: str, what: str) -> float:
    """Return a finite number of a part of a record that is called `what`."""
    value = values.get(key) if isinstance(values, dict) else None
    if not is_finite_number(value):
        raise BrokenRecordError(f"{file.name}: {what}{key} is {value!r}, expected a finite number")
    return cast(float, value)


def losses(file: Path, record: Row) -> list[Row]:
    """Return the losses of a record with their intervals."""
    results = record.get("results")
    if not isinstance(results, list) or not results:
        raise BrokenRecordError(f"{file.name}: results is {results!r:.40}, expected a list")
    rows: list[Row] = []
    for index, result in enumerate(results):
        where = f"results[{index}]."
        names = result.get("val_data") if isinstance(result, dict) else None
        if not isinstance(names, list) or not names:
            raise BrokenRecordError(f"{file.name}: {where}val_data is {names!r}, expected a list")
        source = Path(str(names[0]))
        key = "de-en" if "de-en" in source.name else source.parent.name
        if key not in _VALIDATION:
            raise BrokenRecordError(f"{file.name}: {where}val_data is {names[0]!r}, unknown")
        row: Row = {"validation": _VALIDATION[key], "loss": number(file, result, "loss", where)}
        for part in ("sequences", "tokens"):
            for end in ("lower", "upper"):
                value = number(file, result, f"loss_{part}_{end}_95", where)
                row[f"loss_{part}_{end}"] = value
            row[part] = int(number(file, result, part, where))
        if row["validation"] in {other["validation"] for other in rows}:
            raise BrokenRecordError(f"{file.name}: two results for {row['validation']}")
        rows.append(row)
    return rows


def metadata(file: Path) -> dict[str, tuple[int, float]]:
    """Return number of items and error of guessing of every task."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return {
                row["Eval Task"]: (int(row["#datapoints"]), 1 - float(row["Random baseline"]) / 100)
                for row in csv.DictReader(lines)
            }
    except OSError as error:
        raise ScalebedError(f"cannot read {file}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise ScalebedError(f"{file} is not the testbed's table of tasks: {error}") from error


def scores(file: Path, metadata: dict[str, tuple[int, float]]) -> tuple[list[Row], list[Row]]:
    """Return errors by task and the date of the evaluation; a broken file leaves its reason."""
    try:
        record = read(file)
        metrics = record.get("eval_metrics")
        scores = metrics.get("icl") if isinstance(metrics, dict) else None
        if not isinstance(scores, dict) or not scores:
            raise BrokenRecordError(f"{file.name}: eval_metrics.icl is missing or empty")
        rows = [_score(file, task, scores, metadata) for task in sorted(scores)]
    except BrokenRecordError as error:
        return [], [{"source": "evaluation", "key": "broken", "value": str(error)}]
    return rows, created("evaluation", record)


def created(source: str, record: Row) -> list[Row]:
    """Return when a record was made, if it says so."""
    try:
        date = datetime.strptime(str(record.get("creation_date")), "%Y_%m_%d-%H_%M_%S")
    except ValueError:
        return []
    return [{"source": source, "key": "created", "value": date.isoformat()}]


def _score(file: Path, task: str, scores: Row, metadata: dict[str, tuple[int, float]]) -> Row:
    accuracy = number(file, scores, task, "eval_metrics.icl.")
    if task not in metadata:
        raise BrokenRecordError(f"{file.name}: task {task!r} is not in eval_metadata.csv")
    items, chance = metadata[task]
    if not -_ROUNDED <= accuracy <= 1 + _ROUNDED:
        raise BrokenRecordError(
            f"{file.name}: the accuracy of {task!r} is {accuracy:g}, expected 0 to 1"
        )
    error = 1 - accuracy
    return {
        "task": task,
        "error": error,
        # Binomial: the published files have no standard errors.
        "error_stderr": math.sqrt(max(error * (1 - error), 0.0) / items),
        "chance_error": chance,
        "items": items,
    }
