"""What histories of runs have in common: rows of steps, and what stands beside them.

A history has losses by step; N, and often the tokens of a step, stand elsewhere. Options of all
formats made of histories:

``rows``
    ``last`` (as left out): the last row with a loss of every run; ``all``: every one, as
    checkpoints.
``loss``
    Name of the loss, where several could be it.
``runs``
    A table with a row a run, whose columns are added by the name of the run.
``params``, ``tokens_per_step``, ``dataset``
    The same for all runs, in place of a column of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import parse_amount
from scalebed.tables.formats.rows import Rows, read_rows
from scalebed.tables.runs_columns import is_blank, is_table, numbers, read_file
from scalebed.tables.runs_names import candidates

if TYPE_CHECKING:
    import pyarrow

OPTIONS: Final = ("rows", "loss", "runs", "params", "tokens_per_step", "dataset")
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?[mb])(?![a-z0-9])", re.IGNORECASE)
_PER_STEP = ("tokens_per_step", "batch_tokens", "batch_size_in_tokens")


class History(NamedTuple):
    """The rows of one run, with the name of its loss."""

    run: str
    table: pyarrow.Table
    loss: str


def check_options(form: str, options: Mapping[str, Any], known: Sequence[str] = OPTIONS) -> None:
    """Refuse an option that a format has not.

    Raises
    ------
    ScalebedError
        If there is one.
    """
    for key in options:
        if key not in known:
            raise ScalebedError(
                f"the format {form} has no option {key!r}, expected one of {', '.join(known)}"
            )
    if options.get("rows", "last") not in ("last", "all"):
        raise ScalebedError(f"option rows is {options['rows']!r}, expected last or all")


def files_of(path: Path) -> list[tuple[str, Path]]:
    """Return the tables at a path, each with the name of its run: that of its file."""
    if path.is_file():
        return [(path.stem, path)]
    files = sorted(file for file in path.rglob("*") if is_table(file) and file.is_file())
    return [(file.relative_to(path).with_suffix("").as_posix(), file) for file in files]


def loss_of(path: Path, found: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return the name of the loss among columns or tags.

    Raises
    ------
    ScalebedError
        If it is not there, or several could be it.
    """
    given = options.get("loss")
    if given in found:
        return str(given)
    names = candidates(found, "loss")
    if len(names) == 1 and not given:
        return names[0]
    if given:
        raise ScalebedError(f"{path} has no {given}, expected one of {', '.join(found)}")
    what = f"{' and '.join(names)} could each be the loss" if names else "nothing is called a loss"
    raise ScalebedError(f"{path}: {what} among {', '.join(found)} (--option loss=NAME says it)")


def rows_of(path: Path, histories: Iterable[History], options: Mapping[str, Any]) -> Rows:
    """Return the rows that count of some histories, with what stands beside them.

    Parameters
    ----------
    path
        What is read, for messages.
    histories
        The runs.
    options
        See the module.

    Raises
    ------
    ScalebedError
        If there is no run, or N or D of one is not known.
    """
    import pyarrow

    every = options.get("rows") == "all"
    parts = [_counted(path, one, every) for one in histories]
    if not parts:
        raise ScalebedError(f"{path} holds no run")
    table = pyarrow.concat_tables(parts, promote_options="permissive")
    notes = [] if every else ["of every run the last row with a loss counts (--option rows=all)"]
    own = bool(candidates(table.column_names, "tokens"))
    columns = {"run": "run", "loss": "loss"}
    if "runs" in options:
        table, more, hints = _beside(table, Path(options["runs"]))
        notes += more
        columns = {**hints, **columns}
        if every and not own and "tokens_per_step" not in options and not _per_step(table):
            raise ScalebedError(
                f"{path}: rows=all needs the tokens of every row, and {options['runs']} has those "
                "of whole runs; expected --option tokens_per_step=N"
            )
    for key in ("params", "dataset"):
        if key in options:
            table = _with(table, key, [_amount(options, key)] * table.num_rows)
    if not candidates(table.column_names, "params"):
        table, more = _sizes(path, table)
        notes += more
    known = own or (not every and bool(candidates(table.column_names, "tokens")))
    if not known or "tokens_per_step" in options:
        table, more = _tokens(path, table, options)
        notes += more
    return Rows(table, columns, tuple(notes))


def _counted(path: Path, one: History, every: bool) -> pyarrow.Table:
    """Rows of a run that have a loss, or the last of them; of a run without any its last row."""
    import pyarrow

    table = one.table
    at = np.flatnonzero(~is_blank(table[one.loss]))
    if not at.size:
        at = np.arange(table.num_rows)[-1:]
    steps = candidates(table.column_names, "step") or candidates(table.column_names, "tokens")
    if steps:
        order = numbers(path, steps[0], table[steps[0]], True)
        at = at[np.argsort(order[at], kind="stable")]
    table = table.take(at if every else at[-1:])
    if one.loss != "loss":
        kept = [name for name in table.column_names if name not in ("loss", one.loss)]
        table = table.select(kept).append_column("loss", table[one.loss])
    return _with(table, "run", pyarrow.array([one.run] * table.num_rows, pyarrow.string()))


def _with(table: pyarrow.Table, name: str, values: Any) -> pyarrow.Table:
    import pyarrow

    if name in table.column_names:
        table = table.drop_columns(name)
    return table.append_column(name, pyarrow.array(values))


def _amount(options: Mapping[str, Any], key: str) -> Any:
    """Return an option: as a number where it is an amount."""
    if key == "dataset":
        return str(options[key])
    value = parse_amount(str(options[key]))
    if value is None or value <= 0:
        raise ScalebedError(f"option {key} is {options[key]!r}, expected an amount such as 7B")
    return value


def _beside(table: pyarrow.Table, side: Path) -> tuple[pyarrow.Table, list[str], Mapping[str, str]]:
    """Add the columns of a table with a row a run; what a history says itself stays.

    Returns the table, notes and, by key, the columns that the format of `side` knows.
    """
    rows = side_table(side)
    wanted = table["run"].to_pylist()
    key, places = match_runs(side, rows.table, wanted)
    at = [places.get(name) for name in wanted]
    lacking = sorted({name for name, place in zip(wanted, at, strict=True) if place is None})
    new = [name for name in rows.table.column_names if name not in (*table.column_names, key)]
    for name in new:
        table = table.append_column(name, rows.table[name].take(_indices(at)))
    notes = [*rows.notes, f"runs stand in {side} by its column `{key}`"]
    if lacking:
        notes.append(f"{side} has no run {', '.join(lacking[:5])}{', ...' * (len(lacking) > 5)}")
    return table, notes, {k: name for k, name in rows.columns.items() if name in new}


def _indices(at: Sequence[int | None]) -> Any:
    import pyarrow

    return pyarrow.array(at, pyarrow.int64())


def side_table(side: Path) -> Rows:
    """Read a table that stands beside histories."""
    if not is_table(side):
        return Rows(read_file(side, {}))  # which says what is expected
    return read_rows(side, None, {}, {})


def match_runs(
    side: Path, table: pyarrow.Table, wanted: Sequence[str]
) -> tuple[str, dict[str, int]]:
    """Return the column of a table that names most of some runs, and the row of each name.

    Raises
    ------
    ScalebedError
        If none names any of them, or one of them has two rows.
    """
    found: dict[str, list[str]] = {}
    for name in candidates(table.column_names, "run"):
        found[name] = [str(value) for value in table[name].to_pylist()]
    known = set(wanted)
    key = max(found, key=lambda name: len(known & set(found[name])), default=None)
    if key is None or not known & set(found[key]):
        raise ScalebedError(
            f"{side} names none of the runs {', '.join(sorted(known)[:5])}: expected a column run "
            "with their names"
        )
    places: dict[str, int] = {}
    for i, name in enumerate(found[key]):
        if name in known and name in places:
            raise ScalebedError(f"{side} has two rows of run {name} in column {key}, expected one")
        places[name] = i
    return key, places


def _sizes(path: Path, table: pyarrow.Table) -> tuple[pyarrow.Table, list[str]]:
    """Read N from names of runs, such as llama-125m, where each has one size."""
    runs = table["run"].to_pylist()
    sizes = [set(_SIZE.findall(name)) for name in runs]
    for name, found in zip(runs, sizes, strict=True):
        if len(found) != 1:
            raise ScalebedError(
                f"{path}: nothing says the parameters of run {name}; expected --option runs=TABLE "
                "or --option params=N, or a size such as 125m in the name"
            )
    values = [parse_amount(next(iter(found))) for found in sizes]
    return _with(table, "params", values), ["params are read from the names of the runs"]


def _per_step(table: pyarrow.Table) -> str | None:
    """Return the column of the tokens of a step, None if there is none."""
    return next((name for name in _PER_STEP if name in table.column_names), None)


def _tokens(
    path: Path, table: pyarrow.Table, options: Mapping[str, Any]
) -> tuple[pyarrow.Table, list[str]]:
    """Compute D as step times tokens of a step."""
    per, steps = _per_step(table), candidates(table.column_names, "step")
    if "tokens_per_step" in options:
        each: Any = _amount(options, "tokens_per_step")
    elif per is not None:
        each = numbers(path, per, table[per], True)
    else:
        raise ScalebedError(
            f"{path}: nothing says the tokens of its runs; expected --option tokens_per_step=N or "
            "--option runs=TABLE with them"
        )
    if not steps:
        raise ScalebedError(f"{path} has no column step that tokens_per_step could belong to")
    tokens = numbers(path, steps[0], table[steps[0]], True) * each
    return _with(table, "tokens", tokens), [f"tokens are `{steps[0]}` times the tokens of a step"]
