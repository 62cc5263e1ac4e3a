"""The columns of a table of runs, CSV or parquet, as arrays of numbers and of names."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import parse_amount
from scalebed.core.shown import LONGEST_NAME, unfit
from scalebed.laws.forms.base import Array, Mask
from scalebed.tables.runs_names import could_be_words

if TYPE_CHECKING:
    import pandas
    import pyarrow

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
# What stands for no value. NaN is one: a loss that is not a number, where an empty one is none yet.
_NOTHING = ["", "NA", "N/A", "n/a", "#N/A", "#NA", "NULL", "null", "None"]
_BLOCK = 1 << 20
# What pyarrow says of a field, or a header, that is longer than the blocks it reads.
_TOO_LONG = ("straddling object", "Empty CSV file or block")
_BREAK = re.compile(r"\s*[\r\n\t]+\s*")
Words = npt.NDArray[np.object_]


def is_table(path: Path) -> bool:
    """Whether a path is called like a table."""
    return path.suffix.lower() in (*_DELIMITERS, ".parquet")


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a table, none of one that cannot be read."""
    import pyarrow
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            found = pyarrow.parquet.read_schema(intact(path)).names
        else:
            found = _header(path)
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError):
        return []
    # One that is longer is refused, and none that is searched for.
    return [_named(name[: LONGEST_NAME + 1]) for name in found]


def read_file(path: Path, columns: Mapping[str, str]) -> pyarrow.Table:
    """Read the file as it is, with the blanks around column names and lines in them taken off."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    suffix = path.suffix.lower()
    if not is_table(path):
        raise ScalebedError(f"{path} ends in {suffix!r}, expected .csv, .tsv or .parquet")
    if path.is_dir():
        raise ScalebedError(f"cannot read {path}: it is a folder, expected a file")
    if not path.is_file():
        raise ScalebedError(f"cannot read {path}: no such file")
    if path.stat().st_size == 0:
        raise ScalebedError(f"{path} is empty, expected a header and one row a run")
    try:
        if suffix == ".parquet":
            table = pyarrow.parquet.read_table(intact(path), partitioning=None)
        else:
            # Names such as 007 or NA are words, whatever they look like.
            options = pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(_word_columns(path, columns), pyarrow.string()),
                null_values=_NOTHING,
            )
            # Notes and settings may have several lines.
            parse = pyarrow.csv.ParseOptions(delimiter=_DELIMITERS[suffix], newlines_in_values=True)
            table = pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse)
        found = [_named(name) for name in table.column_names]
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if suffix != ".parquet" and (b"\0" in path.read_bytes()[:4096] or not reason.isprintable()):
            reason = "it holds bytes that are no text"
        elif path.stat().st_size > _BLOCK and any(words in reason for words in _TOO_LONG):
            reason = "one of its rows has more than a million characters"
        raise ScalebedError(f"{path} is not a readable {suffix[1:]} table: {reason}") from error
    if suffix != ".parquet":
        _require_text(path, table)
    for name in found:
        if name and found.count(name) > 1:
            raise ScalebedError(f"{path} has {found.count(name)} columns called {name!r}")
        if expected := unfit(name):
            raise ScalebedError(f"{path} has a column called {name!r}, expected {expected}")
    # A column without a name is the index of the frame that was written.
    return table.select([i for i, name in enumerate(found) if name]).rename_columns(
        [name for name in found if name]
    )


def _named(column: str) -> str:
    """Return the name of a column on one line, as a spreadsheet breaks them."""
    return _BREAK.sub(" ", column.strip())


def _require_text(path: Path, table: pyarrow.Table) -> None:
    import pyarrow

    for field in table.schema:
        if pyarrow.types.is_binary(field.type):
            raise ScalebedError(
                f"{path}: the column {field.name!r} holds bytes that are no text, expected UTF-8"
            )


def _word_columns(path: Path, columns: Mapping[str, str]) -> list[str]:
    """Columns of a file of text that hold names; none if it cannot be read."""
    return [name for name in _header(path) if could_be_words(_named(name), columns)]


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return next(csv.reader(file, delimiter=_DELIMITERS[path.suffix.lower()]), [])
        except csv.Error:
            return []


def is_blank(column: Any) -> Mask:
    """Whether a cell of a column is empty; NaN is not."""
    import pyarrow

    blank = np.array(column.is_null().to_numpy(), dtype=bool)
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        blank |= (column.to_pandas().fillna("").str.strip().isin(_NOTHING)).to_numpy()
    return blank


def numbers(path: Path, name: str, column: Any, amounts: bool = False) -> Array:
    """Return a column as floats, NaN where it is empty; 7B and 1.4T are numbers among `amounts`."""
    import pandas
    import pyarrow

    kind = column.type
    numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
    if numeric or pyarrow.types.is_null(kind) or pyarrow.types.is_decimal(kind):
        return np.array(column.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=float)
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
        try:
            column = column.cast(pyarrow.string())
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise ScalebedError(f"{path}: column {name} holds bytes, expected numbers") from error
    words = pandas.Series(column.to_pylist(), dtype=object)
    blank = words.isna() | words.astype(str).str.strip().isin(_NOTHING)
    texts = words.where(~words.map(lambda value: isinstance(value, bool)), words.astype(str))
    found = pandas.to_numeric(texts.where(~blank), errors="coerce")
    odd = found.isna() & ~blank
    if amounts and odd.any():
        found[odd] = texts[odd].astype(str).map(parse_amount).astype(float)
    nan = texts.astype(str).str.strip().str.lower() == "nan"
    bad = np.flatnonzero((found.isna() & ~blank & ~nan).to_numpy())
    if bad.size:
        wanted = "a number, such as 1.2e9 or 7B" if amounts else "a number"
        raise ScalebedError(
            f"{path} row {bad[0] + 1}: {name} is {words[bad[0]]!r}, expected {wanted}"
        )
    return found.to_numpy(dtype=float)


def names(path: Path, name: str, column: Any, may_be_empty: bool) -> Words:
    """Return a column of names; empty ones are "" where they may be empty."""
    import pyarrow

    try:
        series = column.cast(pyarrow.string()).to_pandas()
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise ScalebedError(f"{path}: column {name} holds no text, expected names") from error
    _require_names(path, name, series)
    if may_be_empty:
        return np.asarray(series.fillna("").str.strip().to_numpy(dtype=object))
    bad = np.flatnonzero((series.isna() | (series.str.strip() == "")).to_numpy())
    if bad.size:
        raise ScalebedError(f"{path} row {bad[0] + 1}: {name} is empty, expected a name")
    return np.asarray(series.to_numpy(dtype=object))


def _require_names(path: Path, name: str, series: pandas.Series[str]) -> None:
    """Refuse a column of names with one that nobody could read in a line."""
    for value in series.dropna().unique():
        expected = unfit(value.strip())
        if expected:
            row = int(np.flatnonzero((series == value).to_numpy())[0]) + 1
            raise ScalebedError(f"{path} row {row}: {name} is {value!r}, expected {expected}")
