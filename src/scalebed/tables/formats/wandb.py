"""Runs as Weights & Biases exports them: a row a run, in either of two forms.

The table of a project, exported from the page: columns ``Name``, ``State`` and perhaps ``ID``,
``Created``, ``Runtime``, ``Tags`` and so on, then settings and last values, their names perhaps
with ``config.`` and ``summary.`` in front. Or the table that its documentation shows how to write
with the Python client: columns ``summary``, ``config`` and ``name``, the first two with a Python
dictionary in each cell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import check_options
from scalebed.tables.formats.rows import Rows
from scalebed.tables.runs_columns import read_file

_BESIDE: Final = {"ID", "Created", "Runtime", "Sweep", "Tags", "User", "Notes"}
_PACKED: Final = ("config", "summary")
# What Python writes for numbers that its literals do not have.
_ODD = re.compile(r"(?<=[:\[,(] )(-?(?:nan|inf))(?=[,}\])])")


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether a table has the columns of either form."""
    found = set(columns)
    page = {"Name", "State"} <= found and bool(_BESIDE & found)
    placed = any(name.startswith(("config.", "config/", "summary.", "summary/")) for name in found)
    return page or placed or set(_PACKED) <= found


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read the table; runs are called by ``Name`` where each has its own, else by ``ID``.

    A setting may be called ``model`` or ``state`` as well, so the columns of the page come first.

    Raises
    ------
    ScalebedError
        If it cannot be read, or an option is given.
    """
    check_options("wandb", options, ())
    table = read_file(path, {})
    for name in _PACKED:
        if name in table.column_names and pyarrow.types.is_string(table[name].type):
            table = _unpacked(path, table, name)
    found = set(table.column_names)
    if not {"Name", "State"} <= found:
        return Rows(table)
    names = table["Name"].to_pylist()
    own = all(names) and len(set(names)) == len(names)
    columns = {"status": "State"}
    notes = ["column `State` is read as status"]
    if own or "ID" in found:
        columns["run"], why = ("Name", "") if own else ("ID", ", as several runs have one name")
        notes.insert(0, f"column `{columns['run']}` is read as run{why}")
    return Rows(table, columns, tuple(notes))


def _unpacked(path: Path, table: pyarrow.Table, packed: str) -> pyarrow.Table:
    """Put the values of a column of dictionaries into columns of their own."""
    cells = [
        dict(_flat(_dictionary(path, packed, i, text), packed))
        for i, text in enumerate(table[packed].to_pylist(), 1)
    ]
    table = table.drop_columns(packed)
    for name in dict.fromkeys(name for cell in cells for name in cell):
        table = table.append_column(name, _column([cell.get(name) for cell in cells]))
    return table


def _dictionary(path: Path, name: str, row: int, text: str | None) -> dict[Any, Any]:
    if not text:
        return {}
    try:
        found = ast.literal_eval(_ODD.sub(r"'\1'", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ScalebedError(
            f"{path} row {row}: {name} is {text[:40]!r}, expected a Python dictionary"
        )
    return found


def _flat(values: Mapping[Any, Any], place: str) -> Iterator[tuple[str, Any]]:
    """Yield values by dotted names; what W&B keeps for itself begins with ``_``, but for steps."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}.{key}")
        elif not str(key).startswith("_") or key == "_step":
            yield f"{place}.{key}", value


def _column(values: list[Any]) -> pyarrow.Array:
    """Return numbers as numbers, and everything else as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pyarrow.array([None if v is None else float(v) for v in values], pyarrow.float64())
    return pyarrow.array([None if v is None else str(v) for v in values], pyarrow.string())
