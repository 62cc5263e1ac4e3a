"""The curve of a run that is going on: from CSV, parquet, or TensorBoard events."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.tables.runs_names import plain

KEYS: Final = ("step", "tokens", "loss", "held_out", "lr")
"""What a column can be."""
_NAMES: Final = {
    "step": "_step global_step iteration iter trainer/global_step train/global_step",
    "tokens": "tokens_seen n_tokens num_tokens train_tokens train/tokens total_tokens "
    "throughput/total_tokens train/tokens_seen",
    "loss": "train_loss training_loss train/cross_entropy train/CrossEntropyLoss",
    "held_out": "val_loss eval_loss validation_loss test_loss valid_loss",
    "lr": "learning_rate train/lr train/learning_rate optim/learning_rate",
}
_PLAIN: Final = {
    plain(name): key for key, names in _NAMES.items() for name in (key, *names.split())
}
# What W&B writes beside every column of an export of charts.
_RANGES: Final = ("__MIN", "__MAX")
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
_EVENTS: Final = "events.out.tfevents."
_BEYOND: Final = 2.0
"""Times its whole tokens that a run may have seen."""

Columns = dict[str, Array]


@dataclass(frozen=True)
class LiveCurve:
    """A curve so far.

    Attributes
    ----------
    name : str
        Where it comes from.
    step : array (n,)
        Steps done; NaN where only tokens are told.
    tokens : array (n,)
        Tokens seen; NaN where only steps are told.
    loss : array (n,)
        Training loss in nats; NaN or infinite where the run said so.
    lr : array (n,)
        Learning rate; NaN where it is not told.
    held_at, held_out : array (m,)
        Tokens (or steps) and loss on held-out text of the training distribution.
    """

    name: str
    step: Array
    tokens: Array
    loss: Array
    lr: Array
    held_at: Array
    held_out: Array

    def progress(self, total: float, steps: int | None, batch: float | None) -> LiveCurve:
        """Return the curve with tokens for all rows, from steps where they are not told.

        Parameters
        ----------
        total : float
            Tokens of the whole run.
        steps : int, optional
            Its steps.
        batch : float, optional
            Tokens of a step.
        """
        found = self
        if not np.all(np.isfinite(self.tokens)):
            if batch is None and steps is None:
                raise ScalebedError(
                    f"{self.name} tells steps and no tokens: expected --steps (of the whole run) "
                    "or --batch-tokens"
                )
            scale = batch if batch is not None else total / float(steps or 1)
            held_at = self.held_at * scale
            found = replace(self, tokens=self.step * scale, held_at=held_at)
        if not found.tokens[-1] <= _BEYOND * total:
            raise ScalebedError(
                f"{self.name} has {found.tokens[-1]:.4g} tokens in its last row, but the whole run "
                f"{total:.4g}"
            )
        return found


def read_live(path: str | Path, given: Mapping[str, str] | None = None) -> LiveCurve:
    """Read a curve.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, parquet, an event file of TensorBoard or a folder of them.
    given : mapping, optional
        Column by key of `KEYS`; others are found by their names.

    Raises
    ------
    ScalebedError
        If it cannot be read, has no loss, or its steps or tokens fall.
    """
    path, given = Path(path), given or {}
    if path.is_dir() or path.name.startswith(_EVENTS):
        from scalebed.watch.events import read_events

        return _curve(str(path), read_events(path, given))
    if not path.is_file():
        raise ScalebedError(f"cannot read {path}: no such file")
    if path.suffix.lower() == ".parquet":
        columns = _parquet(path, given)
    elif path.suffix.lower() in _SEPARATORS:
        columns = _text(path, given)
    else:
        raise ScalebedError(
            f"{path} is no curve, expected .csv, .tsv, .parquet or TensorBoard events"
        )
    return _curve(str(path), columns)


def key_of(name: str) -> str | None:
    """Return what a column is by its name; None if nothing is known by that name.

    A column of an export of W&B charts is called ``RUN - NAME``.
    """
    if name.endswith(_RANGES):
        return None
    return _PLAIN.get(plain(name)) or _PLAIN.get(plain(name.rpartition(" - ")[2]))


def named(where: str, found: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the column of every key that a curve has.

    Raises
    ------
    ScalebedError
        If a column that is given does not exist, or two could be one key.
    """
    for key, name in given.items():
        if name not in found:
            raise ScalebedError(
                f"--column {key}={name}: {where} has no column {name}; its columns are "
                f"{', '.join(found)}"
            )
    columns = dict(given)
    for key in KEYS:
        if key in given:
            continue
        names = [name for name in found if key_of(name) == key and name not in given.values()]
        names = [name for name in names if name == key] or names
        if len(names) > 1:
            listed = " and ".join(f"`{name}`" for name in names)
            raise ScalebedError(
                f"{where}: columns {listed} could each be {key}; --column {key}={names[0]} says "
                "that it is the first"
            )
        if names:
            columns[key] = names[0]
    if "loss" not in columns or not {"step", "tokens"} & columns.keys():
        missing = "loss" if "loss" not in columns else "step or tokens"
        raise ScalebedError(
            f"{where} has no column {missing}; its columns are {', '.join(found)} "
            f"(--column {missing.split()[0]}=NAME says which of them it is)"
        )
    return columns


def _parquet(path: Path, given: Mapping[str, str]) -> Columns:
    from scalebed.tables.runs_columns import numbers, read_file

    table = read_file(path, {})
    columns = named(str(path), table.column_names, given)
    return {key: numbers(path, name, table[name]) for key, name in columns.items()}


def _text(path: Path, given: Mapping[str, str]) -> Columns:
    """Read CSV; unlike a loss that is NaN, an empty field is one that was not logged."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            rows = list(csv.reader(file, delimiter=_SEPARATORS[path.suffix.lower()]))
        except csv.Error as error:
            kind = path.suffix.lower()[1:]
            raise ScalebedError(f"{path} is not a readable {kind} table: {error}") from error
    if len(rows) < 2:
        raise ScalebedError(f"{path} has no rows, expected a header and one row a step")
    header = [name.strip() for name in rows[0]]
    columns = named(str(path), header, given)
    at = {key: header.index(name) for key, name in columns.items()}
    found: Columns = {key: np.full(len(rows) - 1, np.nan) for key in columns}
    logged = np.zeros(len(rows) - 1, dtype=bool)
    for i, row in enumerate(rows[1:]):
        for key, j in at.items():
            text = row[j].strip() if j < len(row) else ""
            if text:
                found[key][i] = _number(path, i + 1, columns[key], text)
                logged[i] |= key == "loss"
    # A loss that was not logged is told apart from one that is not a number.
    found["logged"] = logged.astype(float)
    return found


def _number(path: Path, row: int, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ScalebedError(f"{path} row {row}: {name} is {text!r}, expected a number") from None


def _curve(where: str, columns: Columns) -> LiveCurve:
    loss = columns["loss"]
    blank = np.full(loss.size, np.nan)
    step, tokens = (columns.get(key, blank) for key in ("step", "tokens"))
    for name, values in (("tokens", tokens), ("step", step)):
        _rising(where, name, values)
    logged = columns["logged"] > 0 if "logged" in columns else np.ones(loss.size, dtype=bool)
    if np.any(np.isfinite(tokens)):
        axis = tokens = _filled(tokens)
    else:
        axis = step = _filled(step)
    held = columns.get("held_out", blank)
    there = np.isfinite(held)
    if not logged.any():
        raise ScalebedError(f"{where} has no loss yet")
    lr = columns.get("lr", blank)
    return LiveCurve(
        where, step[logged], tokens[logged], loss[logged], lr[logged], axis[there], held[there]
    )


def _filled(counts: Array) -> Array:
    """Fill in what exports leave out where another metric was logged."""
    known = np.isfinite(counts)
    if not known.any():
        return counts
    return np.interp(np.arange(counts.size), np.flatnonzero(known), counts[known])


def _rising(where: str, name: str, values: Array) -> None:
    endless = np.flatnonzero(np.isinf(values))
    if endless.size:
        raise ScalebedError(f"{where} row {endless[0] + 1}: {name} is {values[endless[0]]}")
    rows = np.flatnonzero(np.isfinite(values))
    falls = np.flatnonzero(np.diff(values[rows]) < 0)
    if falls.size:
        before, row = rows[falls[0]], rows[falls[0] + 1]
        raise ScalebedError(
            f"{where} row {row + 1}: {name} falls from {values[before]:.10g} to "
            f"{values[row]:.10g}, expected a curve whose {name} never fall"
            f"{'s' if name == 'step' else ''}"
        )


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """Read the words KEY=NAME of ``--column``; names may hold commas.

    Raises
    ------
    ScalebedError
        If a key is unknown or given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, name = (part.strip() for part in text.partition("="))
        if key not in KEYS or not equals or not name or key in found:
            raise ScalebedError(
                f"--column {text}: expected KEY=NAME with a key of {', '.join(KEYS)}, each once"
            )
        found[key] = name
    return found
