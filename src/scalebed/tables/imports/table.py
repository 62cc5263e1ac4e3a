"""A plain table of runs as the cells of a study; see docs/fit.md for its columns."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.tables.imports.base import Imported, Row
from scalebed.tables.runs_notes import notes, reason, repeats_note
from scalebed.tables.runs_table import RunTable
from scalebed.tables.runs_units import read_counted

_UNITS = ((10**9, "b"), (10**6, "m"), (10**3, "k"))
_RECIPE = "imported"
_log = logging.getLogger(__name__)


def import_cells(path: Path, options: dict[str, Any]) -> Imported:
    """Read the runs of a CSV or parquet table.

    A run becomes a cell with its `dataset`, a size named after its parameters (`11m`, `1440m`),
    the ratio D / N in whole tokens and, where several runs share all of these, a running number
    as its seed. A run without a finite loss is a failed cell.

    Parameters
    ----------
    path
        The table.
    options
        There are none.

    Raises
    ------
    ScalebedError
        If the table cannot be read or is not usable, or an option is given.
    """
    if options:
        raise ScalebedError(f"source.options: the importer table has no option {min(options)!r}")
    runs = read_counted(path)
    if runs.repeats:
        _log.warning("%s", repeats_note(runs))
    found = Imported(cells=[], facts={"notes": " ".join(notes(runs))})
    seen: Counter[Cell] = Counter()
    for i, finished in enumerate(runs.finished):
        if runs.earlier[i] or not _is_placed(runs, i):
            continue
        first = _coordinates(runs, i)
        cell = first._replace(seed=seen[first])
        seen[first] += 1
        found.cells.append(_cell(runs, i, cell, bool(finished)))
        if finished:
            found.losses.extend(
                {"cell": cell.path, "validation": name, "loss": float(values[i])}
                for name, values in runs.losses.items()
                if np.isfinite(values[i])
            )
            found.tasks.extend(_tasks(runs, i, cell))
    return found


def size_name(params: float) -> str:
    """Return a name for N parameters: the largest unit that leaves at least two digits."""
    for unit, letter in _UNITS:
        if params >= 9.95 * unit:
            return f"{round(params / unit)}{letter}"
    return str(round(params))


def _is_placed(runs: RunTable, i: int) -> bool:
    """Whether N and D of a row are known, which those of an unfinished run need not be."""
    numbers = runs.params[i], runs.tokens[i]
    return all(np.isfinite(number) and number > 0 for number in numbers)


def _coordinates(runs: RunTable, i: int) -> Cell:
    ratio = max(1, round(float(runs.tokens[i] / runs.params[i])))
    return Cell(str(runs.dataset[i]), size_name(float(runs.params[i])), ratio, _RECIPE, 0)


def _cell(runs: RunTable, i: int, cell: Cell, finished: bool) -> Row:
    params, tokens = round(float(runs.params[i])), round(float(runs.tokens[i]))
    name = f"run {runs.run[i]}" if runs.run is not None else f"row {runs.rows[i]}"
    return {
        "cell": cell.path,
        **cell._asdict(),
        "status": "done" if finished else "failed",
        "reason": None if finished else f"{name} of {runs.path.name} has {reason(runs, i)}",
        "params": params,
        "tokens": tokens,
        "token_multiplier": tokens / params,
        "flops": arithmetic.flops(params, tokens) if runs.flops is None else float(runs.flops[i]),
        "backend": "unknown",
    }


def _tasks(runs: RunTable, i: int, cell: Cell) -> list[Row]:
    rows: list[Row] = []
    for name, values in runs.errors.items():
        if np.isfinite(values[i]):
            row: Row = {"cell": cell.path, "task": name, "error": float(values[i])}
            if name == "error" and runs.stderr is not None and np.isfinite(runs.stderr[i]):
                row["error_stderr"] = float(runs.stderr[i])
            rows.append(row)
    return rows
