"""Runs that stand in a table twice: the same row again, or another run of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Index

if TYPE_CHECKING:
    import pyarrow


def first_equal(table: pyarrow.Table, words: dict[str, Any]) -> Index:
    """Return for every row of a table the first one that equals it in all columns.

    Parameters
    ----------
    table
        All columns of the file.
    words
        Its columns ``run`` and ``dataset``, where it has them.
    """
    first, at = np.arange(table.num_rows), np.arange(table.num_rows)
    if "run" in words:  # runs whose names are their own need not be compared
        at = np.flatnonzero(pandas.DataFrame(words).duplicated(keep=False).to_numpy())
        table = table.take(at)
    # An index without a name only counts the rows of the frame that was written.
    counts = [name for name in table.column_names if name.startswith("__index_level_")]
    frame = table.drop_columns(counts).to_pandas(ignore_metadata=True)
    again = np.flatnonzero(frame.duplicated(keep=False).to_numpy())
    if again.size:
        equal = frame.iloc[again].groupby(list(frame), dropna=False).ngroup().to_numpy()
        _, start = np.unique(equal, return_index=True)
        first[at[again]] = at[again[start[equal]]]
    return first


def refuse_equal_names(path: Path, words: dict[str, Any], rows: Index) -> None:
    """Refuse different runs of one name in one data set.

    Parameters
    ----------
    path
        The file.
    words
        Its columns ``run`` and ``dataset``, where it has them.
    rows
        Where they stand in the file, from 1.

    Raises
    ------
    ScalebedError
        If there are such runs.
    """
    if "run" not in words:
        return
    names = pandas.DataFrame(words)
    again = np.flatnonzero(names.duplicated().to_numpy())
    if again.size:
        first = int(np.flatnonzero((names == names.iloc[again[0]]).all(axis=1))[0])
        name = words["run"][again[0]]
        raise ScalebedError(
            f"{path} row {rows[again[0]]}: run is {name!r}, the name of row "
            f"{rows[first]} already, expected a name of its own"
        )
