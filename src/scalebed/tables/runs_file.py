"""Runs from a plain table: one row a run, CSV or parquet.

Columns ``params`` (N), ``tokens`` (D) and ``loss`` (nats) are needed; ``dataset``, ``run``,
``seed``, ``step``, ``trunk``, ``status``, ``unique_tokens``, ``flops``, ``error``, ``stderr``,
``loss_<name>`` and ``error_<name>`` are read where they exist; ``ratio`` or ``flops`` stand for
``tokens``. `scalebed.tables.runs_names` has the other names that columns may have,
`scalebed.tables.runs_rows` what rows are, `scalebed.tables.formats.rows` the other formats.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas

from scalebed.core.cells import ALL
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.tables.formats.rows import read_rows
from scalebed.tables.repeats import first_equal
from scalebed.tables.runs_checks import checked
from scalebed.tables.runs_columns import is_blank, names, numbers
from scalebed.tables.runs_names import AMOUNTS, NEEDED, WORDS, Naming, plain, resolve
from scalebed.tables.runs_rows import (
    codes_of,
    earlier_checkpoints,
    is_finished,
    is_planned,
    no_runs,
    no_status,
    refuse_contradictions,
)
from scalebed.tables.runs_table import RunTable

if TYPE_CHECKING:
    import pyarrow

_FURTHER = ("loss_", "error_")
_OF_TASKS = ("stderr", "chance", "items")
_MAY_BE_EMPTY = ("seed", "trunk", "status")
_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
Words = npt.NDArray[np.object_]


def read_runs(
    path: str | Path,
    columns: Mapping[str, str] = _NO_NAMES,
    form: str | None = None,
    options: Mapping[str, Any] = _NO_OPTIONS,
) -> RunTable:
    """Read and check a table of runs; a row that repeats another in all columns is left out.

    Parameters
    ----------
    path
        The file, or the folder of a format that has one.
    columns
        Which of its columns is what, by key, see `scalebed.tables.runs_names.parse_columns`; the
        others are found by their names.
    form, options
        Name of the format, recognised when left out, and its options: see
        `scalebed.tables.formats.rows`.

    Raises
    ------
    ScalebedError
        If the file is not readable, lacks a column or holds an impossible value.
    """
    path = Path(path)
    rows = read_rows(path, form, options, columns)
    table = rows.table
    naming = resolve(path, table.column_names, {**rows.columns, **columns})
    naming = replace(naming, notes=(*rows.notes, *naming.notes))
    if "stderr" in naming.columns and "error" not in naming.columns:
        raise ScalebedError(f"{path} has a column stderr but no column error it could belong to")
    if not table.num_rows:
        raise ScalebedError(f"{path} has no rows, expected one row a run")
    naming, read, words = _values(path, table, naming)
    naming = _with_tokens(path, naming, read)
    counts = np.isfinite(read["loss"])
    if "status" in words:
        counts &= is_finished(words["status"])
    naming, read = checked(path, naming, read, counts)
    compared = {name: found for name, found in words.items() if name in ("dataset", "run")}
    first = first_equal(table, compared)
    own = first == np.arange(first.size)
    again = np.flatnonzero(~own)
    planned = _planned(is_blank(table[naming.columns["loss"]]), read, words)
    if again.size:
        read, words = ({k: v[own] for k, v in found.items()} for found in (read, words))
        counts, planned, table = counts[own], planned[own], table.filter(own)
    naming, words = _runs_named(path, naming, np.flatnonzero(own) + 1, read, words, counts)
    repeats = tuple(zip((again + 1).tolist(), (first[again] + 1).tolist(), strict=True))
    return _table(
        path, table, naming, (read, words), (np.flatnonzero(own) + 1, counts, planned), repeats
    )


def _table(
    path: Path,
    table: pyarrow.Table,
    naming: Naming,
    found: tuple[dict[str, Array], dict[str, Words]],
    rows: tuple[Index, Mask, Mask],
    repeats: tuple[tuple[int, int], ...],
) -> RunTable:
    """Put together what was read; `rows` are their places, those that count and planned ones."""
    read, words = found
    at, counts, planned = rows
    earlier = _earlier(read, words, counts)
    used = {*naming.columns.values(), *(name for name in read if _is_further(name, read))}
    return RunTable(
        path=path,
        rows=at,
        repeats=repeats,
        finished=counts & ~earlier,
        earlier=earlier,
        planned=planned & ~_of_same_run(words, counts),
        dataset=words.get("dataset", np.full(at.size, ALL, dtype=object)),
        run=words.get("run"),
        seed=words.get("seed"),
        trunk=words.get("trunk"),
        status=words.get("status"),
        params=read["params"],
        tokens=read["tokens"],
        step=read.get("step"),
        unique_tokens=read.get("unique_tokens"),
        flops=read.get("flops"),
        ratio=read.get("ratio"),
        losses={name: read[name] for name in sorted(read) if name.split("_")[0] == "loss"},
        errors={name: read[name] for name in sorted(read) if name.split("_")[0] == "error"},
        tasks=_tasks(read),
        naming=naming,
        ignored=tuple(name for name in table.column_names if name not in used),
        given=table,
    )


def _planned(blank: Mask, read: dict[str, Array], words: dict[str, Words]) -> Mask:
    """Rows with N and D, of a run that has not begun by its status or, without one, its columns.

    What has a further loss or an error was measured, so that its loss is lost.
    """
    measured = [found for name, found in read.items() if _is_measured(name)]
    waiting = blank & np.all([np.isnan(found) for found in measured], axis=0)
    if "status" in words:
        waiting = is_planned(words["status"]) | waiting & (words["status"] == "")
    placed = [np.isfinite(read[key]) & (read[key] > 0) for key in ("params", "tokens")]
    return np.asarray(waiting & placed[0] & placed[1], dtype=bool)


def _is_measured(name: str) -> bool:
    return name.split("_")[0] in ("loss", "error")


def _with_tokens(path: Path, naming: Naming, read: dict[str, Array]) -> Naming:
    """Derive D from M or C where no column has it.

    Raises
    ------
    ScalebedError
        If neither of them was what its name said.
    """
    if "tokens" in read:
        return naming
    if "ratio" not in read and "flops" not in read:
        raise ScalebedError(f"{path} has no column tokens ({'; '.join(naming.notes)})")
    name = naming.columns["ratio" if "ratio" in read else "flops"]
    if "ratio" in read:
        read["tokens"], rule = read["ratio"] * read["params"], f"D = M N with M of `{name}`"
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            read["tokens"] = read["flops"] / (6 * read["params"])
        rule = f"D = C / (6 N) with C of `{name}`"
    return replace(naming, notes=(*naming.notes, f"no column has the tokens: {rule}"))


def _values(
    path: Path, table: pyarrow.Table, naming: Naming
) -> tuple[Naming, dict[str, Array], dict[str, Words]]:
    """Numbers and names by key; a guess that its values do not bear out is taken back."""
    read: dict[str, Array] = {}
    words: dict[str, Words] = {}
    for key, column in naming.columns.items():
        guess = key in naming.guessed and key not in NEEDED
        try:
            if key in WORDS:
                words[key] = names(path, column, table[column], key in _MAY_BE_EMPTY)
            else:
                read[key] = numbers(path, column, table[column], key in AMOUNTS)
        except ScalebedError:
            if not guess:
                raise
            why = "some of its cells are empty" if key in WORDS else "it does not hold numbers"
            naming = naming.without(key, why)
    for key in ("status", "dataset"):
        why = _no_words(key, words[key]) if key in naming.guessed and key in words else ""
        if why:
            naming = naming.without(key, why)
            del words[key]
    for name in table.column_names:
        further = _is_further(name, table.column_names)
        if further and name not in naming.columns.values():
            read[name] = numbers(path, name, table[name])
    # A loss that is not above 0 nats, or not finite, is what a run that broke off leaves behind.
    for name, found in read.items():
        if name.split("_")[0] == "loss":
            read[name] = np.where(np.isfinite(found) & (found > 0), found, np.nan)
    return naming, read, words


def _is_further(name: str, others: Collection[str]) -> bool:
    """Whether a column is a further loss or error, or about an error of the same name."""
    what, _, task = name.partition("_")
    return name.startswith(_FURTHER) or (what in _OF_TASKS and f"error_{task}" in others)


def _tasks(read: dict[str, Array]) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    for name in read:
        if name.split("_")[0] == "error":
            own = {what: name.replace("error", what, 1) for what in _OF_TASKS}
            found[name] = {what: read[column] for what, column in own.items() if column in read}
    return found


def _no_words(key: str, found: Words) -> str:
    """Why a column of another name does not hold status or data set, "" if it can."""
    if key == "status":
        return no_status(found)
    return "nearly every row has another one" if 2 * len(set(found)) > found.size else ""


def _runs_named(
    path: Path,
    naming: Naming,
    rows: Index,
    read: dict[str, Array],
    words: dict[str, Words],
    counts: Mask,
) -> tuple[Naming, dict[str, Words]]:
    """Refuse rows that contradict their run; those of a guess take the guess back."""
    if "run" not in words:
        return naming, words
    at = np.flatnonzero(counts)
    named = {name: found[at] for name, found in words.items() if name in ("dataset", "run")}
    step = read["step"][at] if "step" in read else None
    known = read["params"][at], read["tokens"][at], step
    if "run" not in naming.guessed:
        refuse_contradictions(path, rows[at], named, known)
        return naming, words
    why = no_runs(plain(naming.columns["run"]), named, known)
    if not why:
        return naming, words
    return naming.without("run", why), {key: w for key, w in words.items() if key != "run"}


def _earlier(read: dict[str, Array], words: dict[str, Words], counts: Mask) -> Mask:
    """Rows before the last of a run of which a column says that it finished."""
    if "run" not in words or "status" not in words:
        return np.zeros_like(counts)
    runs = _codes(words)
    return earlier_checkpoints(runs, np.flatnonzero(counts), read["tokens"], read.get("step"))


def _of_same_run(words: dict[str, Words], counts: Mask) -> Mask:
    """Rows of a run of which another row counts."""
    if "run" not in words:
        return np.zeros_like(counts)
    runs = _codes(words)
    return np.isin(runs, runs[counts])


def _codes(words: dict[str, Words]) -> Index:
    """Int codes of the runs."""
    n = words["run"].size
    sets = pandas.factorize(words["dataset"])[0] if "dataset" in words else np.zeros(n, int)
    return codes_of(sets, words["run"])
