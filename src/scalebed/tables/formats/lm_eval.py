"""Task errors from the files ``results_*.json`` that lm-evaluation-harness writes.

Error = 1 - accuracy, with the standard error and the number of items of the file. The error of
guessing is known where a task lists its choices, or where ``samples_<task>_*.jsonl`` lies beside
the results. N, D and the loss stand in a table with a row a run, option ``runs``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import check_options, match_runs, side_table
from scalebed.tables.formats.rows import Rows

_FILES: Final = "results*.json"
_METRICS: Final = ("acc", "exact_match")
_LISTED = re.compile(r"\{\{\s*\[([^\[\]]+)\]\s*\}\}")
_WHAT: Final = ("error", "stderr", "chance", "items")


class _Score(NamedTuple):
    """One task of one run; the newest file counts."""

    error: float
    stderr: float | None
    chance: float | None
    items: int | None


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether a path is such a file, or a folder with one somewhere below it."""
    if path.is_dir():
        return any(_is_results(file) for file in path.rglob(_FILES))
    return path.suffix == ".json" and _is_results(path)


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a file, or all of a folder, and put the errors beside the runs they belong to.

    Parameters
    ----------
    path
        File or folder.
    options
        ``runs``: a table with a row a run, which has N, D and the loss. ``metric``: the accuracy
        that counts, as ``acc_norm``; ``acc``, else ``exact_match``, as left out.

    Raises
    ------
    ScalebedError
        If a file cannot be read, or the runs are not given.
    """
    check_options("lm_eval", options, ("runs", "metric"))
    if "runs" not in options:
        raise ScalebedError(
            f"{path}: results of lm-eval have neither tokens nor a loss; expected --option "
            "runs=TABLE with params, tokens, loss and the names of the runs"
        )
    files = sorted(path.rglob(_FILES), key=lambda file: file.name) if path.is_dir() else [path]
    metrics = (str(options["metric"]),) if "metric" in options else _METRICS
    found: dict[str, dict[str, _Score]] = {}
    names: dict[str, list[str]] = {}
    for file in files:
        record = _read(file)
        called = _names(file, record)
        names[called[0]] = called
        found.setdefault(called[0], {}).update(_scores(file, record, metrics))
    side = Path(options["runs"])
    rows = side_table(side)
    wanted = [name for called in names.values() for name in called]
    key, places = match_runs(side, rows.table, wanted)
    at = {
        run: next((places[n] for n in called if n in places), None) for run, called in names.items()
    }
    table = _with_scores(rows.table, {at[run]: scores for run, scores in found.items()})
    lost = [run for run, place in at.items() if place is None]
    notes = [f"errors of {len(names) - len(lost)} runs stand beside {side} by its column `{key}`"]
    if lost:
        notes.append(f"{side} has no run {', '.join(lost[:5])}{', ...' * (len(lost) > 5)}")
    return Rows(table, {**rows.columns, "run": key}, (*rows.notes, *notes))


def _is_results(file: Path) -> bool:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("results"), dict)


def _read(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScalebedError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ScalebedError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("results"), dict):
        raise ScalebedError(f"{file} has no results, expected a file of lm-evaluation-harness")
    return record


def _names(file: Path, record: Mapping[str, Any]) -> list[str]:
    """Return what a run may be called: its model, the end of that path, the folder of the file."""
    model = record.get("model_name") or (record.get("config") or {}).get("model_args")
    if isinstance(model, dict):
        model = model.get("pretrained")
    match = re.search(r"(?:^|,)pretrained=([^,]+)", str(model or ""))
    text = match[1] if match else str(model or "")
    known = [text, text.rstrip("/").rpartition("/")[2], file.parent.name]
    return [name for name in dict.fromkeys(known) if name] or [str(file)]


def _scores(
    file: Path, record: Mapping[str, Any], metrics: Sequence[str]
) -> Iterator[tuple[str, _Score]]:
    """Yield the tasks of a file; of a group its own accuracy, not those of its members."""
    groups = record.get("group_subtasks") or {}
    results = record["results"]
    members = {
        task
        for group, tasks in groups.items()
        if _accuracy(results.get(group), metrics)
        for task in tasks
    }
    for task, values in results.items():
        accuracy = None if task in members else _accuracy(values, metrics)
        if accuracy is None:
            continue
        value, stderr = accuracy
        if not 0 <= value <= 1:
            raise ScalebedError(f"{file}: accuracy of {task} is {value:g}, expected 0 .. 1")
        count = ((record.get("n-samples") or {}).get(task) or {}).get("effective")
        chance = _chance(file, task, (record.get("configs") or {}).get(task) or {})
        yield task, _Score(1 - value, stderr, chance, count)


def _accuracy(values: Any, metrics: Sequence[str]) -> tuple[float, float | None] | None:
    """Return the first of some metrics that a task has, with its standard error."""
    for metric in metrics:
        for key, value in (values or {}).items():
            name, comma, kind = key.partition(",")
            if name == metric and isinstance(value, int | float):
                stderr = values.get(f"{metric}_stderr{comma}{kind}")
                return float(value), float(stderr) if isinstance(stderr, int | float) else None
    return None


def _chance(file: Path, task: str, config: Mapping[str, Any]) -> float | None:
    """Return the error of guessing among the choices of a task, None if they are not known."""
    choices = config.get("doc_to_choice")
    if isinstance(choices, list) and len(choices) > 1:
        return 1 - 1 / len(choices)
    listed = _LISTED.fullmatch(choices.strip()) if isinstance(choices, str) else None
    if listed:
        return 1 - 1 / len(listed[1].split(","))
    if config.get("output_type") not in (None, "multiple_choice"):
        return None
    date = file.stem.removeprefix("results")
    return _sampled(file.with_name(f"samples_{task}{date}.jsonl"))


def _sampled(samples: Path) -> float | None:
    """Return the mean error of guessing over the items of a file: one request a choice."""
    if not samples.is_file():
        return None
    counts = {}
    try:
        for line in samples.read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            counts[item["doc_id"]] = len(item["arguments"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ScalebedError(
            f"{samples} holds no samples of lm-evaluation-harness ({reason})"
        ) from error
    if not counts or min(counts.values()) < 2:
        return None
    return sum(1 - 1 / count for count in counts.values()) / len(counts)


def _with_scores(
    table: pyarrow.Table, scores: Mapping[int | None, Mapping[str, _Score]]
) -> pyarrow.Table:
    """Add columns of errors and of what is known of them."""
    tasks = sorted({task for found in scores.values() for task in found})
    for task in tasks:
        own = [scores.get(i, {}).get(task) for i in range(table.num_rows)]
        for what in _WHAT:
            values = [None if one is None else getattr(one, what) for one in own]
            if any(value is not None for value in values):
                table = table.append_column(
                    f"{what}_{task}", pyarrow.array(values, pyarrow.float64())
                )
    return table
