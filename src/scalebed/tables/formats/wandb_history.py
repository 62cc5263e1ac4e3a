"""Histories of Weights & Biases: rows of steps, in either of two forms.

What ``run.history()`` or ``run.scan_history()`` of the Python client give, written as CSV or
parquet: columns ``_step``, ``_runtime``, ``_timestamp`` and every metric, one file a run, or
several runs with a column of their names. Or what a chart of a page exports: steps and, for each
run, ``<run> - <metric>`` with ``__MIN`` and ``__MAX`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import (
    History,
    check_options,
    files_of,
    loss_of,
    rows_of,
)
from scalebed.tables.formats.rows import Rows
from scalebed.tables.runs_columns import column_names, is_blank, read_file
from scalebed.tables.runs_names import candidates

_OWN: Final = {"_runtime", "_timestamp"}
_OF_CHART = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<end>__MIN|__MAX)?")
_STEPS: Final = ("Step", "_step", "trainer/global_step", "global_step", "step")


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether the tables at a path have the columns of either form."""
    named = [columns] if path.is_file() else [column_names(file) for _, file in files_of(path)]
    return bool(named) and all(_is_history(found) or _is_chart(found) for found in named)


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a file, or all tables of a folder.

    Raises
    ------
    ScalebedError
        If one cannot be read, or what a law needs is not known.
    """
    check_options("wandb_history", options)
    histories = [one for run, file in files_of(path) for one in _histories(run, file, options)]
    return rows_of(path, histories, options)


def _is_history(found: Sequence[str]) -> bool:
    return "_step" in found and bool(_OWN & set(found))


def _is_chart(found: Sequence[str]) -> bool:
    ends = [match["end"] for name in found if (match := _OF_CHART.fullmatch(name))]
    return "__MIN" in ends and "__MAX" in ends and len(ends) >= len(found) - 1


def _histories(run: str, file: Path, options: Mapping[str, Any]) -> Iterator[History]:
    table = read_file(file, {})
    found = table.column_names
    if _is_chart(found):
        yield from _of_chart(file, table)
        return
    loss = loss_of(file, found, options)
    runs = [name for name in candidates(found, "run") if not is_blank(table[name]).any()]
    if not runs:
        yield History(run, table, loss)
        return
    names = np.array([str(value) for value in table[runs[0]].to_pylist()], dtype=object)
    for name in dict.fromkeys(names.tolist()):
        yield History(name, table.filter(pyarrow.array(names == name)), loss)


def _of_chart(file: Path, table: pyarrow.Table) -> Iterator[History]:
    """Yield the runs of the one metric of a chart."""
    steps = [name for name in table.column_names if name in _STEPS]
    if not steps:
        raise ScalebedError(
            f"{file} is a chart along {table.column_names[0]!r}, expected one along steps"
        )
    for name in table.column_names:
        match = _OF_CHART.fullmatch(name)
        if match and not match["end"]:
            part = pyarrow.table({"step": table[steps[0]], "loss": table[name]})
            yield History(match["run"], part, "loss")
