"""Arrow tables that keep to the declared schema."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.core.shortage import is_shortage
from scalebed.tables.declared.columns import Column, Table

_ARROW_TYPES = {
    "str": pyarrow.string(),
    "int": pyarrow.int64(),
    "float": pyarrow.float64(),
    "bool": pyarrow.bool_(),
}


def arrow_schema(table: Table) -> pyarrow.Schema:
    """Return the Arrow schema of `table`, comment and unit of each column as field metadata."""
    return pyarrow.schema(
        [
            pyarrow.field(
                column.name,
                _ARROW_TYPES[column.type],
                nullable=column.nullable,
                metadata={"comment": column.comment, "unit": column.unit},
            )
            for column in table.columns
        ]
    )


def from_rows(table: Table, rows: Iterable[Mapping[str, Any]], source: str) -> pyarrow.Table:
    """Return rows as an Arrow table that was checked and sorted by `conform`."""
    rows = list(rows)
    columns = {column.name: [row[column.name] for row in rows] for column in table.columns}
    loose = pyarrow.schema([(column.name, _ARROW_TYPES[column.type]) for column in table.columns])
    return conform(table, pyarrow.table(columns, schema=loose), source)


def write_rows(table: Table, rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write rows as parquet that holds what `table` declares; what is not finite is missing."""
    write_parquet(path, from_rows(table, rows, f"the rows of {table.name}"))


def read_table(table: Table, path: Path) -> pyarrow.Table:
    """Read a parquet file and return it checked and sorted.

    Raises
    ------
    ScalebedError
        If the file is missing, not parquet, or does not hold what `table` declares.
    """
    return conform(table, read_parquet(path), str(path))


def read_parquet(path: Path, columns: list[str] | None = None) -> pyarrow.Table:
    """Read a parquet file, or some of its columns.

    Raises
    ------
    ScalebedError
        If the file is missing, broken or not what was written, or lacks one of `columns`.
    """
    try:
        with pyarrow.parquet.ParquetFile(intact(path), page_checksum_verification=True) as file:
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:
                raise ScalebedError(f"{path} has no column {', '.join(map(repr, missing))}")
            # Where a thread cannot be started, the other ways to read wait for ever.
            return file.read(columns=columns, use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        if is_shortage(error):
            raise
        if isinstance(error, OSError) and error.errno is not None:  # Arrow's own have none
            raise ScalebedError(f"cannot read {path}: {error.strerror}") from error
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ScalebedError(
            f"cannot read {path} as parquet: {reason}; delete it and run again"
        ) from error


def conform(table: Table, data: pyarrow.Table, source: str) -> pyarrow.Table:
    """Return `data` with the declared columns and types, sorted by key; NaN becomes null.

    Raises
    ------
    ScalebedError
        If a column is missing or of another type, a required value is absent or not finite, or
        two rows share a key; the sentence names `source`.
    """
    arrays = []
    for column in table.columns:
        if column.name not in data.column_names:
            raise ScalebedError(f"{source}: table {table.name!r} has no column {column.name!r}")
        arrays.append(_cast(column, data.column(column.name), source))
    result = pyarrow.Table.from_arrays(arrays, schema=arrow_schema(table))
    result = result.sort_by([(name, "ascending") for name in table.key]).combine_chunks()
    if _neighbours_agree(result.select(list(table.key))):
        raise ScalebedError(
            f"{source}: two rows of table {table.name!r} share one key ({', '.join(table.key)})"
        )
    return result


def _neighbours_agree(rows: pyarrow.Table) -> bool:
    """Tell whether some row has the values of the next one, where nothing equals nothing."""
    agree = pyarrow.repeat(True, max(rows.num_rows - 1, 0))
    for column in rows.columns:
        one, next_one = column.slice(0, len(agree)), column.slice(1)
        empty = pyarrow.compute.and_(one.is_null(), next_one.is_null())
        equal = pyarrow.compute.coalesce(pyarrow.compute.equal(one, next_one), empty)
        agree = pyarrow.compute.and_(agree, equal)
    return bool(pyarrow.compute.any(agree).as_py())


def _cast(column: Column, values: pyarrow.ChunkedArray, source: str) -> pyarrow.ChunkedArray:
    try:
        values = values.cast(_ARROW_TYPES[column.type])
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise ScalebedError(
            f"{source}: column {column.name!r} has type {values.type}, expected {column.type}"
        ) from error
    if column.type == "float":
        finite = pyarrow.compute.is_finite(values)
        values = pyarrow.compute.if_else(finite, values, None)
    if not column.nullable and values.null_count:
        row = pyarrow.compute.index(pyarrow.compute.is_null(values), True).as_py()
        raise ScalebedError(
            f"{source}: column {column.name!r} has no finite value in row {row + 1}"
            if column.type == "float"
            else f"{source}: column {column.name!r} has no value in row {row + 1}"
        )
    return values


def is_finite_number(value: object) -> bool:
    """Return whether `value` is an int or float (not a bool) and finite."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
