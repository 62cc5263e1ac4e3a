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
from scalebed.laws.forms.base import Array, Mask

if TYPE_CHECKING:
    import pyarrow

_NEEDED = ("params", "tokens", "loss")
_WORDS = ("dataset", "run")
_FLOPS_TOLERANCE = 0.05
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
ALL = "all"
"""Name of the one data set of a table without column ``dataset``."""


@dataclass(frozen=True)
class RunTable:
    """The runs of a table, in its order; row i of the arrays is data row i + 1 of the file.

    Attributes
    ----------
    path : Path
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
    """Read and check a table of runs.

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
    errors = {name: read[name] for name in columns if name.split("_")[0] == "error"}
    for name, values in errors.items():
        fine = np.isnan(values) | ((values >= 0) & (values <= 1))
        _require(path, name, values, fine, "an error rate within 0 .. 1")
    for name in {"stderr", "flops"} & set(columns):
        fine = np.isnan(read[name]) | ((read[name] >= 0) & np.isfinite(read[name]))
        _require(path, name, read[name], fine, "at least 0")
    words = {name: _names(path, name, table[name]) for name in _WORDS if name in table.column_names}
    _no_duplicates(path, table, words)
    # A loss that is not above 0 nats, or not finite, is what a run that broke off leaves behind.
    losses = {
        name: np.where(np.isfinite(read[name]) & (read[name] > 0), read[name], np.nan)
        for name in columns
        if name.split("_")[0] == "loss"
    }
    return RunTable(
        path=path,
        dataset=words.get("dataset", np.full(table.num_rows, ALL, dtype=object)),
        run=words.get("run"),
        params=read["params"],
        tokens=read["tokens"],
        flops=read.get("flops"),
        losses=dict(sorted(losses.items())),
        errors=dict(sorted(errors.items())),
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


def _no_duplicates(path: Path, table: pyarrow.Table, words: dict[str, Any]) -> None:
    """Refuse a run that stands in the table twice."""
    import pandas

    if "run" in words:
        names = pandas.DataFrame(words)
        again = np.flatnonzero(names.duplicated().to_numpy())
        if again.size:
            first = int(np.flatnonzero((names == names.iloc[again[0]]).all(axis=1))[0])
            name = words["run"][again[0]]
            raise ScalebedError(
                f"{path} row {again[0] + 1}: run is {name!r}, the name of row {first + 1} already, "
                "expected a name of its own"
            )
        return
    frame = table.to_pandas()
    again = np.flatnonzero(frame.duplicated().to_numpy())
    if again.size:
        row = frame.iloc[again[0]]
        same = ((frame == row) | (frame.isna() & row.isna())).all(axis=1)
        first = int(np.flatnonzero(same.to_numpy())[0])
        raise ScalebedError(
            f"{path} row {again[0] + 1} repeats row {first + 1} in all columns, expected each run "
            "once; a column run tells two equal runs apart"
        )


def about(table: RunTable) -> dict[str, Any]:
    """Return what the record of a fit says of its table."""
    lost = (np.flatnonzero(~table.finished) + 1).tolist()
    return {
        "path": str(table.path),
        "rows": int(table.params.size),
        "finished": int(table.params.size) - len(lost),
        "unfinished": len(lost),
        "first_unfinished_rows": lost[:20],
        "columns_not_used": list(table.ignored),
    }


def notes(table: RunTable) -> Iterator[str]:
    """Sentences on runs without a loss and on FLOPs that are not 6 N D."""
    rows = table.params.size
    for name, loss in table.losses.items():
        lost = np.flatnonzero(~np.isfinite(loss)) + 1
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
                f"flops of {off.size} of {rows} runs differ from 6 N D by more than 5 %: row "
                f"{i + 1} has {table.flops[i]:.3g}, 6 N D is {usual[i]:.3g}; only N and D enter "
                "the laws"
            )
