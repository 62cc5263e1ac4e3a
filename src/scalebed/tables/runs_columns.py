"""The columns of a table of runs, CSV or parquet, as arrays of numbers and of names."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.tables.runs_names import could_be_words

if TYPE_CHECKING:
    import pyarrow

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
Words = npt.NDArray[np.object_]


def read_file(path: Path, columns: Mapping[str, str]) -> pyarrow.Table:
    """Read the file as it is, with the blanks around column names taken off."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, ".parquet"):
        raise ScalebedError(f"{path} ends in {suffix!r}, expected .csv, .tsv or .parquet")
    if path.is_dir():
        raise ScalebedError(f"cannot read {path}: it is a folder, expected a file")
    if not path.is_file():
        raise ScalebedError(f"cannot read {path}: no such file")
    if path.stat().st_size == 0:
        raise ScalebedError(f"{path} is empty, expected a header and one row a run")
    try:
        if suffix == ".parquet":
            table = pyarrow.parquet.read_table(path, partitioning=None)
        else:
            # Names such as 007 or NA are words, whatever they look like.
            options = pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(_word_columns(path, columns), pyarrow.string())
            )
            parse = pyarrow.csv.ParseOptions(delimiter=_DELIMITERS[suffix])
            table = pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse)
        found = [name.strip() for name in table.column_names]
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if suffix != ".parquet" and (b"\0" in path.read_bytes()[:4096] or not reason.isprintable()):
            reason = "it holds bytes that are no text"
        raise ScalebedError(f"{path} is not a readable {suffix[1:]} table: {reason}") from error
    for name in found:
        if found.count(name) > 1:
            raise ScalebedError(f"{path} has {found.count(name)} columns called {name!r}")
    return table.rename_columns(found)


def _word_columns(path: Path, columns: Mapping[str, str]) -> list[str]:
    """Columns of a file of text that hold names; none if it cannot be read."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            header = next(csv.reader(file, delimiter=_DELIMITERS[path.suffix.lower()]), [])
        except csv.Error:
            return []
    return [name for name in header if could_be_words(name.strip(), columns)]


def numbers(path: Path, name: str, column: Any) -> Array:
    """Return a column as floats, NaN where it is empty."""
    import pandas
    import pyarrow

    kind = column.type
    numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
    if numeric or pyarrow.types.is_null(kind) or pyarrow.types.is_decimal(kind):
        return np.array(column.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=float)
    words = pandas.Series(column.to_pylist(), dtype=object)
    blank = words.isna() | (words.astype(str).str.strip() == "")
    texts = words.where(~words.map(lambda value: isinstance(value, bool)), words.astype(str))
    found = pandas.to_numeric(texts.where(~blank), errors="coerce")
    nan = texts.astype(str).str.strip().str.lower() == "nan"
    bad = np.flatnonzero((found.isna() & ~blank & ~nan).to_numpy())
    if bad.size:
        raise ScalebedError(
            f"{path} row {bad[0] + 1}: {name} is {words[bad[0]]!r}, expected a number"
        )
    return found.to_numpy(dtype=float)


def names(path: Path, name: str, column: Any, may_be_empty: bool) -> Words:
    """Return a column of names; empty ones are "" where they may be empty."""
    import pyarrow

    try:
        series = column.cast(pyarrow.string()).to_pandas()
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise ScalebedError(f"{path}: column {name} holds no text, expected names") from error
    if may_be_empty:
        return np.asarray(series.fillna("").str.strip().to_numpy(dtype=object))
    bad = np.flatnonzero((series.isna() | (series.str.strip() == "")).to_numpy())
    if bad.size:
        raise ScalebedError(f"{path} row {bad[0] + 1}: {name} is empty, expected a name")
    return np.asarray(series.to_numpy(dtype=object))
