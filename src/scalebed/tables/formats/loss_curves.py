"""Loss curves: one table a run with a column of losses by step or tokens, see `histories`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import (
    History,
    check_options,
    files_of,
    loss_of,
    rows_of,
)
from scalebed.tables.formats.rows import Rows
from scalebed.tables.runs_columns import column_names, read_file
from scalebed.tables.runs_names import candidates


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether all tables at a path have a loss by step or tokens, and neither N nor runs."""
    named = [columns] if path.is_file() else [column_names(file) for _, file in files_of(path)]
    return bool(named) and all(_is_curve(found) for found in named)


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a table, or all tables in a folder and those below; runs are called as their files.

    Raises
    ------
    ScalebedError
        If one cannot be read, or what a law needs is not known.
    """
    check_options("loss_curves", options)
    files = files_of(path)
    if not files:
        raise ScalebedError(f"{path} has no tables, expected one a run")
    tables = [(run, file, read_file(file, {})) for run, file in files]
    curves = [
        History(run, table, loss_of(file, table.column_names, options))
        for run, file, table in tables
    ]
    return rows_of(path, curves, options)


def _is_curve(found: Sequence[str]) -> bool:
    along = candidates(found, "step") or candidates(found, "tokens")
    other = candidates(found, "params") or candidates(found, "run")
    return bool(along) and bool(candidates(found, "loss")) and not other
