"""Runs from a plain table: one row a run, CSV or parquet.

Columns ``params`` (N), ``tokens`` (D) and ``loss`` (nats) are needed; ``dataset``, ``run``,
``flops``, ``error``, ``stderr``, ``loss_<name>`` and ``error_<name>`` are read where they exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.tables.repeats import first_equal, refuse_equal_names

if TYPE_CHECKING:
    import pyarrow

_NEEDED = ("params", "tokens", "loss")
_WORDS = ("dataset", "run")
_FLOPS_TOLERANCE = 0.05
_NAMED = 10
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
ALL = "all"
"""Name of the one data set of a table without column ``dataset``."""


@dataclass(frozen=True)
class RunTable:
    """The runs of a table, in its order, each once.

    Attributes
    ----------
    path : Path
    rows : int array (n,)
        Where the runs stand in the file; the first row below the header is 1.
    repeats : tuple of pairs of int
        Rows that were left out because they equal an earlier one in all columns, with that one.
    dataset : object array (n,)
        Training data set; `ALL` everywhere if the table has no such column.
    run : object array (n,) or None
        Names of the runs.
    params, tokens : array (n,)
    flops : array (n,) or None
        As given; only for reports.
    losses, errors : dict of array (n,)
        By column name, ``loss`` and ``error`` first. A loss that is NaN belongs to a run that did
        not finish; a NaN error was not measured.
    stderr : array (n,) or None
        Standard error of ``error`` from the finite number of items.
    ignored : tuple of str
        Columns that were not read.
    """

    path: Path
    rows: Index
    repeats: tuple[tuple[int, int], ...]
    dataset: npt.NDArray[np.object_]
    run: npt.NDArray[np.object_] | None
    params: Array
    tokens: Array
    flops: Array | None
    losses: dict[str, Array]
    errors: dict[str, Array]
    stderr: Array | None
    ignored: tuple[str, ...]

    @property
    def finished(self) -> Mask:
        """Runs with a loss."""
        return np.isfinite(self.losses["loss"])


def read_runs(path: str | Path) -> RunTable:
    """Read and check a table of runs; a row that repeats another in all columns is left out.

    Raises
    ------
    ScalebedError
        If the file is not readable, lacks a column or holds an impossible value.
    """
    path = Path(path)
    table = _read(path)
    columns = _columns(path, table)
    if not table.num_rows:
        raise ScalebedError(f"{path} has no rows, expected one row a run")
    read = {name: _numbers(path, name, table[name]) for name in columns}
    for name in ("params", "tokens"):
        _require(path, name, read[name], (read[name] > 0) & np.isfinite(read[name]), "above 0")
    errors = sorted(name for name in columns if name.split("_")[0] == "error")
    for name in errors:
        fine = np.isnan(read[name]) | ((read[name] >= 0) & (read[name] <= 1))
        _require(path, name, read[name], fine, "an error rate within 0 .. 1")
    for name in {"stderr", "flops"} & set(columns):
        fine = np.isnan(read[name]) | ((read[name] >= 0) & np.isfinite(read[name]))
        _require(path, name, read[name], fine, "at least 0")
    words = {name: _names(path, name, table[name]) for name in _WORDS if name in table.column_names}
    first = first_equal(table, words)
    own = first == np.arange(first.size)
    rows, again = np.flatnonzero(own) + 1, np.flatnonzero(~own)
    if again.size:
        read, words = ({k: v[own] for k, v in found.items()} for found in (read, words))
    refuse_equal_names(path, words, rows)
    # A loss that is not above 0 nats, or not finite, is what a run that broke off leaves behind.
    losses = {
        name: np.where(np.isfinite(read[name]) & (read[name] > 0), read[name], np.nan)
        for name in columns
        if name.split("_")[0] == "loss"
    }
    return RunTable(
        path=path,
        rows=rows,
        repeats=tuple(zip((again + 1).tolist(), (first[again] + 1).tolist(), strict=True)),
        dataset=words.get("dataset", np.full(rows.size, ALL, dtype=object)),
        run=words.get("run"),
        params=read["params"],
        tokens=read["tokens"],
        flops=read.get("flops"),
        losses=dict(sorted(losses.items())),
        errors={name: read[name] for name in errors},
        stderr=read.get("stderr"),
        ignored=tuple(n for n in table.column_names if n not in columns and n not in _WORDS),
    )


def _read(path: Path) -> pyarrow.Table:
    """Read the file as it is, with the blanks around column names taken off."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, ".parquet"):
        raise ScalebedError(f"{path} ends in {suffix!r}, expected .csv, .tsv or .parquet")
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
                column_types=dict.fromkeys(_WORDS, pyarrow.string())
            )
            parse = pyarrow.csv.ParseOptions(delimiter=_DELIMITERS[suffix])
            table = pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse)
        names = [name.strip() for name in table.column_names]
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if suffix != ".parquet" and (b"\0" in path.read_bytes()[:4096] or not reason.isprintable()):
            reason = "it holds bytes that are no text"
        raise ScalebedError(f"{path} is not a readable {suffix[1:]} table: {reason}") from error
    for name in names:
        if names.count(name) > 1:
            raise ScalebedError(f"{path} has {names.count(name)} columns called {name!r}")
    return table.rename_columns(names)


def _columns(path: Path, table: pyarrow.Table) -> list[str]:
    """Names of the columns of numbers that are read."""
    found = table.column_names
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        raise ScalebedError(
            f"{path} has no {plural} {', '.join(missing)}; its columns are {', '.join(found)}"
        )
    if "stderr" in found and "error" not in found:
        raise ScalebedError(f"{path} has a column stderr but no column error it could belong to")
    plain = (*_NEEDED, "flops", "error", "stderr")
    return [name for name in found if name in plain or name.startswith(("loss_", "error_"))]


def _numbers(path: Path, name: str, column: Any) -> Array:
    """Return a column as floats, NaN where it is empty."""
    import pandas
    import pyarrow

    kind = column.type
    numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
    if numeric or pyarrow.types.is_null(kind) or pyarrow.types.is_decimal(kind):
        numbers = column.cast(pyarrow.float64(), safe=False)
        return np.array(numbers.to_numpy(), dtype=float)
    words = pandas.Series(column.to_pylist(), dtype=object)
    blank = words.isna() | (words.astype(str).str.strip() == "")
    texts = words.where(~words.map(lambda value: isinstance(value, bool)), words.astype(str))
    numbers = pandas.to_numeric(texts.where(~blank), errors="coerce")
    nan = texts.astype(str).str.strip().str.lower() == "nan"
    bad = np.flatnonzero((numbers.isna() & ~blank & ~nan).to_numpy())
    if bad.size:
        raise ScalebedError(
            f"{path} row {bad[0] + 1}: {name} is {words[bad[0]]!r}, expected a number"
        )
    return numbers.to_numpy(dtype=float)


def _require(path: Path, name: str, values: Array, fine: Mask, wanted: str) -> None:
    bad = np.flatnonzero(~fine)
    if bad.size:
        value = values[bad[0]]
        shown = "empty or NaN" if np.isnan(value) else f"{value:.6g}"
        raise ScalebedError(f"{path} row {bad[0] + 1}: {name} is {shown}, expected {wanted}")


def _names(path: Path, name: str, column: Any) -> npt.NDArray[np.object_]:
    """Return a column of names, none of which may be empty."""
    import pyarrow

    try:
        series = column.cast(pyarrow.string()).to_pandas()
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise ScalebedError(f"{path}: column {name} holds no text, expected names") from error
    bad = np.flatnonzero((series.isna() | (series.str.strip() == "")).to_numpy())
    if bad.size:
        raise ScalebedError(f"{path} row {bad[0] + 1}: {name} is empty, expected a name")
    return np.asarray(series.to_numpy(dtype=object))


def about(table: RunTable) -> dict[str, Any]:
    """Return what the record of a fit says of its table."""
    lost = table.rows[~table.finished].tolist()
    return {
        "path": str(table.path),
        "rows": int(table.params.size),
        "finished": int(table.params.size) - len(lost),
        "unfinished": len(lost),
        "first_unfinished_rows": lost[:20],
        "columns_not_used": list(table.ignored),
    }


def repeats_note(table: RunTable) -> str:
    """Return a sentence on the rows that were left out, "" if there are none."""
    if not table.repeats:
        return ""
    hint = "" if table.run is not None else "; a column run tells two equal runs apart"
    count, named = len(table.repeats), table.repeats[:_NAMED]
    if count == 1:
        row, first = named[0]
        return f"{table.path} row {row} repeats row {first} in all columns and is left out{hint}"
    listed = ", ".join(f"row {row} repeats row {first}" for row, first in named)
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return (
        f"{table.path}: {count} rows that repeat another in all columns are left out: "
        f"{listed}{more}{hint}"
    )


def notes(table: RunTable) -> Iterator[str]:
    """Sentences on rows that repeat others, runs without a loss and FLOPs that are not 6 N D."""
    if table.repeats:
        yield repeats_note(table)
    rows = table.params.size
    for name, loss in table.losses.items():
        lost = table.rows[~np.isfinite(loss)]
        if lost.size:
            shown = ", ".join(map(str, lost[:5].tolist())) + (", ..." if lost.size > 5 else "")
            yield (
                f"{lost.size} of {rows} runs {'has' if lost.size == 1 else 'have'} no finite "
                f"{name}: row{'s' if lost.size > 1 else ''} {shown}"
            )
    if table.flops is not None:
        usual = 6 * table.params * table.tokens
        off = np.flatnonzero(np.abs(table.flops / usual - 1) > _FLOPS_TOLERANCE)
        if off.size:
            i = off[0]
            yield (
                f"flops of {off.size} of {rows} runs differ from 6 N D by more than 5 %: "
                f"row {table.rows[i]} has {table.flops[i]:.3g}, 6 N D is {usual[i]:.3g}; "
                "only N and D enter the laws"
            )
