"""Runs as the cells of a study; see docs/tables.md for formats and docs/fit.md for rows."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.tables.imports.base import Imported, Row
from scalebed.tables.runs_names import parse_columns
from scalebed.tables.runs_notes import notes, reason, repeats_note
from scalebed.tables.runs_table import RunTable
from scalebed.tables.runs_units import read_counted

_UNITS = ((10**9, "b"), (10**6, "m"), (10**3, "k"))
_RECIPE = "imported"
_OF_TASKS = {"stderr": "error_stderr", "chance": "chance_error", "items": "items"}
# Columns that are measurements or coordinates of a cell; all others are said of it as text.
_PLACED = ("params", "tokens", "flops", "dataset", "loss", "error", "stderr")
_log = logging.getLogger(__name__)


def import_cells(path: Path, options: dict[str, Any]) -> Imported:
    """Read the runs of a plain table, see `import_runs`."""
    return import_runs(path, "table", options)


def import_runs(path: Path, form: str, options: Mapping[str, Any]) -> Imported:
    """Read runs of a format.

    A run becomes a cell with its `dataset`, a size named after its parameters (`11m`, `1440m`), the
    ratio as given, else D / N, and the seed as given, else a running number; where several runs
    share all of these, they are numbered. A run without a finite loss is a failed cell, one that is
    still to come a planned one. Every further column is a row of table ``arguments``.

    Parameters
    ----------
    path
        File or folder.
    form
        Name of the format, see `scalebed.tables.formats.rows`.
    options
        Of the format; ``column`` says which column is what, as ``--column`` does.

    Raises
    ------
    ScalebedError
        If it cannot be read or is not usable, or an option is unknown.
    """
    given = {key: value for key, value in options.items() if key != "column"}
    words = options.get("column", [])
    columns = parse_columns([words] if isinstance(words, str) else words)
    runs = read_counted(path, columns, form, given)
    if runs.repeats:
        _log.warning("%s", repeats_note(runs))
    found = Imported(cells=[], facts={"notes": "; ".join(notes(runs))})
    taken: defaultdict[Cell, set[int]] = defaultdict(set)
    further = _further(runs)
    for i, finished in enumerate(runs.finished):
        if runs.earlier[i] or not _is_placed(runs, i):
            continue
        first = _coordinates(runs, i)
        cell = first._replace(seed=_seed(runs, i, taken[first]))
        taken[first].add(cell.seed)
        found.cells.append(_cell(runs, i, cell, bool(finished)))
        found.arguments.extend(_arguments(cell, further, i))
        if finished:
            found.losses.extend(_losses(runs, i, cell))
            found.tasks.extend(_tasks(runs, i, cell))
    return found


def size_name(params: float) -> str:
    """Return a name for N parameters: the largest unit that leaves at least two digits."""
    for unit, letter in _UNITS:
        if params >= 9.95 * unit:
            return f"{round(params / unit)}{letter}"
    return str(round(params))


def ratio_name(ratio: float) -> float:
    """Return M as a coordinate: in whole numbers, with two digits at least."""
    rounded = float(f"{ratio:.2g}") if ratio < 9.95 else round(ratio)
    return round(rounded) if rounded == round(rounded) else rounded


def _is_placed(runs: RunTable, i: int) -> bool:
    """Whether N and D of a row are known, which those of an unfinished run need not be."""
    numbers = runs.params[i], runs.tokens[i]
    return all(np.isfinite(number) and number > 0 for number in numbers)


def _coordinates(runs: RunTable, i: int) -> Cell:
    ratio = ratio_name(float(runs.tokens[i] / runs.params[i]))
    if runs.ratio is not None and np.isfinite(runs.ratio[i]):
        given = float(runs.ratio[i])
        ratio = round(given) if given == round(given) else given
    return Cell(str(runs.dataset[i]), size_name(float(runs.params[i])), ratio, _RECIPE, 0)


def _seed(runs: RunTable, i: int, taken: set[int]) -> int:
    """Return the seed as given if it is a whole number and free, else the first free one."""
    given = "" if runs.seed is None else str(runs.seed[i]).removesuffix(".0")
    if given.isdecimal() and int(given) not in taken:
        return int(given)
    return next(seed for seed in range(len(taken) + 1) if seed not in taken)


def _cell(runs: RunTable, i: int, cell: Cell, finished: bool) -> Row:
    params, tokens = round(float(runs.params[i])), round(float(runs.tokens[i]))
    why = f"{runs.label(i)} of {runs.path.name} has {reason(runs, i)}"
    unique = tokens if runs.unique_tokens is None else float(runs.unique_tokens[i])
    return {
        "cell": cell.path,
        **cell._asdict(),
        "status": "done" if finished else "planned" if runs.planned[i] else "failed",
        "reason": None if finished else why,
        "params": params,
        "tokens": tokens,
        "token_multiplier": tokens / params,
        "flops": _flops(runs, i),
        "epochs": tokens / unique if unique < tokens else None,
        "backend": "unknown",
    }


def _flops(runs: RunTable, i: int) -> float:
    """C as given, else 6 N D."""
    if runs.flops is not None and np.isfinite(runs.flops[i]):
        return float(runs.flops[i])
    return arithmetic.flops(round(float(runs.params[i])), round(float(runs.tokens[i])))


def _losses(runs: RunTable, i: int, cell: Cell) -> Iterator[Row]:
    for name, values in runs.losses.items():
        if np.isfinite(values[i]):
            yield {"cell": cell.path, "validation": name, "loss": float(values[i])}


def _tasks(runs: RunTable, i: int, cell: Cell) -> Iterator[Row]:
    for name, values in runs.errors.items():
        if not np.isfinite(values[i]):
            continue
        row: Row = {"cell": cell.path, "task": name, "error": float(values[i])}
        for column, known in runs.tasks.get(name, {}).items():
            if np.isfinite(known[i]):
                row[_OF_TASKS[column]] = known[i].item()
        if "items" in row:
            row["items"] = round(row["items"])
        yield row


def _further(runs: RunTable) -> dict[str, list[str | None]]:
    """Columns that only the table ``arguments`` has, as text: names, settings and others."""
    used = {runs.naming.columns.get(key, key) for key in _PLACED} | {*runs.losses, *runs.errors}
    tasks = (name.removeprefix("error_") for name in runs.tasks)
    used |= {f"{what}_{name}" for name in tasks for what in _OF_TASKS}
    return {
        name: [None if value is None else str(value) for value in runs.given[name].to_pylist()]
        for name in runs.given.column_names
        if name not in used
    }


def _arguments(cell: Cell, further: Mapping[str, list[str | None]], i: int) -> Iterator[Row]:
    for key, values in further.items():
        value = values[i]
        if value is not None and value.strip():
            yield {"cell": cell.path, "source": "table", "key": key, "value": value}
