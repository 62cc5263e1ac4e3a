"""Rows that stand in a table twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

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
    import pyarrow

    first, at = np.arange(table.num_rows), np.arange(table.num_rows)
    if "run" in words:  # runs whose names are their own need not be compared
        at = np.flatnonzero(pandas.DataFrame(words).duplicated(keep=False).to_numpy())
        table = table.take(at)
    # An index without a name only counts the rows of the frame that was written.
    counts = [name for name in table.column_names if name.startswith("__index_level_")]
    frame = table.drop_columns(counts).to_pandas(ignore_metadata=True)
    for field in table.schema:
        # Lists and the like have no hash.
        if field.name in frame and pyarrow.types.is_nested(field.type):
            frame[field.name] = frame[field.name].map(repr)
    again = np.flatnonzero(frame.duplicated(keep=False).to_numpy())
    if again.size:
        equal = frame.iloc[again].groupby(list(frame), dropna=False).ngroup().to_numpy()
        _, start = np.unique(equal, return_index=True)
        first[at[again]] = at[again[start[equal]]]
    return first
