"""Records of one cell, as training and evaluation wrote them, read and checked.

A record that is missing, truncated or of another cell stops the gathering with one sentence: a
study must never silently rest on fewer cells than it lists.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.core.permission import plain
from scalebed.core.provenance import digest
from scalebed.tables.arrow import is_finite_number, read_parquet
from scalebed.tables.declared.cells import CELLS, CURVES, LOSSES, TASKS
from scalebed.tables.declared.columns import Table

COORDINATES = ("dataset", "size", "ratio", "recipe", "seed")
STATUSES = ("done", "diverged", "failed")

# Where a column of the cells table lies in metrics.json.
_METRICS = {
    "status": "status",
    "reason": "reason",
    "params": "counts.params",
    "params_no_input_embedding": "counts.params_no_input_embedding",
    "params_no_embeddings": "counts.params_no_embeddings",
    "width": "params.model.width",
    "layers": "params.model.layers",
    "heads": "params.model.heads",
    "vocab": "params.model.vocab",
    "context": "params.model.context",
    "precision": "precision",
    **{
        name: name
        for name in (
            *("tokens", "token_multiplier", "flops", "flops_exact", "steps", "batch_tokens"),
            *("epochs", "train_loss", "seconds", "tokens_per_second", "device", "ranks"),
            *("peak_bytes", "backend", "weights_sha256", "trunk", "trunk_steps"),
        )
    },
}
# What a trained cell may lack; imported cells lack more, so the schema allows more.
_ABSENT = (
    *("reason", "epochs", "train_loss", "tokens_per_second", "device", "ranks", "peak_bytes"),
    *("weights_sha256", "trunk", "trunk_steps"),
)
_ACCEPTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a finite number", is_finite_number),
    "dict": ("an object", lambda value: isinstance(value, dict)),
    # lm-eval writes versions of tasks as numbers or as text.
    "version": ("text or a number", lambda value: isinstance(value, str | int | float)),
}


@dataclass(frozen=True)
class CellRecords:
    """What was recorded of one cell.

    Attributes
    ----------
    metrics
        Row of the cells table, without the study's flags.
    curve
        Training curve with the columns of the curves table.
    losses, tasks
        Rows of the losses and tasks tables; empty unless the cell is done.
    runs
        Run records of the jobs that made the cell (training, losses, tasks).
    seconds
        Wall time of training (``train_wall``) and of evaluations (``evaluate_losses``, …), in s.
    """

    metrics: dict[str, Any]
    curve: pyarrow.Table
    losses: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    runs: dict[str, Mapping[str, Any]]
    seconds: dict[str, float]


def read_cell(folder: Path, listed: Mapping[str, Any], suite: str | None) -> CellRecords:
    """Read the records of one cell.

    Parameters
    ----------
    folder
        Folder of the cell.
    listed
        The cell as the study lists it: ``cell`` and its coordinates.
    suite
        Name of the task suite; None if the study has no tasks.

    Raises
    ------
    ScalebedError
        If a record is missing, garbled or of another cell; names the file and the key.
    """
    path = folder / "metrics.json"
    record = _record(path)
    _check_identity(path, record, listed)
    _check_params(path, record, listed)
    metrics = {
        column.name: _take(path, record, _METRICS[column.name], column.type, column.name in _ABSENT)
        for column in CELLS.columns
        if column.name in _METRICS
    }
    _check_status(path, metrics)
    done = metrics["status"] == "done"
    names = {"cell": listed["cell"]}
    runs = {"train": _take(path, record, "run", "dict")}
    seconds = {"train_wall": _take(path, record, "wall_seconds", "float")}
    rows: dict[str, list[dict[str, Any]]] = {"losses": [], "tasks": []}
    evaluations = [(LOSSES, "validation", names)]
    if suite is not None:
        evaluations.append((TASKS, "task", {**names, "suite": suite}))
    for table, label, fixed in evaluations:
        other_path = folder / f"{table.name}.json"
        other = _record(other_path)
        _check_identity(other_path, other, listed)
        if done:
            _check_weights(other_path, other, metrics["weights_sha256"])
        rows[table.name] = list(_rows(other_path, other, table, label, fixed, done))
        runs[table.name] = _take(other_path, other, "run", "dict", nullable=True) or {}
        seconds[f"evaluate_{table.name}"] = (
            _take(other_path, other, "seconds", "float", nullable=True) or 0.0
        )
    curve = _curve(folder / "curve.parquet", listed["cell"], _take(path, record, "curve_rows"))
    return CellRecords({**names, **metrics}, curve, rows["losses"], rows["tasks"], runs, seconds)


def _record(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise ScalebedError(f"{path} holds a JSON {type(record).__name__}, expected an object")
    return record


def _take(
    path: Path,
    record: Mapping[str, Any],
    key: str,
    kind: str = "int",
    nullable: bool = False,
    within: str = "",
) -> Any:
    """Return the value at a dotted `key`, checked to be of `kind`; `within` only words errors."""
    value: Any = record
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        if nullable:
            return None
        raise ScalebedError(f"{path} has no value for key {within + key!r}")
    expected, accepts = _ACCEPTS[kind]
    if not accepts(value):
        raise ScalebedError(f"{path}: key {within + key!r} is {value!r}, expected {expected}")
    return float(value) if kind == "float" else value


def _check_identity(path: Path, record: Mapping[str, Any], listed: Mapping[str, Any]) -> None:
    cell = _take(path, record, "cell", "dict")
    for name in COORDINATES:
        if cell.get(name) != listed[name]:
            raise ScalebedError(
                f"{path}: key 'cell.{name}' is {cell.get(name)!r}, "
                f"but the study lists this cell with {listed[name]!r}"
            )


def _check_params(path: Path, metrics: Mapping[str, Any], listed: Mapping[str, Any]) -> None:
    """Refuse a cell that was trained differently from what the study says today.

    Snakemake retrains such a cell as long as it has its own records; results that were copied
    without them would otherwise slip in.
    """
    expected = listed.get("params_digest")
    if expected is None:
        return
    if digest(plain(_take(path, metrics, "params", "dict"))) != expected:
        raise ScalebedError(
            f"{path}: the cell was trained with other values of 'params' than the study now has "
            "(`scalebed plan` names them); delete the file and run again to retrain it"
        )


def _check_status(path: Path, metrics: Mapping[str, Any]) -> None:
    status = metrics["status"]
    if status not in STATUSES:
        raise ScalebedError(f"{path}: key 'status' is {status!r}, expected {', '.join(STATUSES)}")
    if status == "done" and metrics["weights_sha256"] is None:
        raise ScalebedError(f"{path} has no value for key 'weights_sha256' of a finished cell")


def _check_weights(path: Path, record: Mapping[str, Any], expected: str) -> None:
    found = _take(path, record, "weights_sha256", "str")
    if found != expected:
        raise ScalebedError(
            f"{path}: key 'weights_sha256' is {found[:12]}…, but the trained weights are "
            f"{expected[:12]}…; delete it and run again"
        )


def _curve(path: Path, cell: str, rows: int) -> pyarrow.Table:
    curve = read_parquet(path, CURVES.names[1:])
    if curve.num_rows != rows:
        raise ScalebedError(
            f"{path} has {curve.num_rows} rows, but metrics.json says curve_rows is {rows}"
        )
    return curve.add_column(0, "cell", pyarrow.repeat(cell, curve.num_rows))


def _rows(
    path: Path,
    record: Mapping[str, Any],
    table: Table,
    label: str,
    names: Mapping[str, Any],
    done: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `table`; `label` is the column that holds the keys of the section."""
    section = table.name
    entries = _take(path, record, section, "dict")
    if done and not entries:
        raise ScalebedError(f"{path}: key {section!r} is empty, but the cell is done")
    if not done and entries:
        raise ScalebedError(f"{path}: key {section!r} has entries, but the cell is not done")
    fixed = {*names, label, "in_average"}
    for name in sorted(entries):
        if not isinstance(entries[name], dict):
            raise ScalebedError(f"{path}: key '{section}.{name}' is not an object")
        row = {**names, label: name}
        for column in table.columns:
            if column.name not in fixed:
                kind = "version" if column.name == "version" else column.type
                value = _take(path, entries[name], column.name, kind, within=f"{section}.{name}.")
                row[column.name] = str(value) if kind == "version" else value
        yield row
