"""From the tables of a study to the finished cells of each data set, in one canonical order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.columns import chance, errors, floats, standard_error, unique_tokens

AVERAGE = "average"
"""Response that stands for the mean error over the tasks with ``in_average``."""

_COLUMNS = {
    "cells": (
        "cell",
        "dataset",
        "recipe",
        "seed",
        "status",
        "fit_loss",
        "fit_error",
        "target",
        "params",
        "tokens",
        "flops",
    ),
    "losses": ("cell", "validation", "loss"),
    "tasks": ("cell", "task", "error", "error_stderr", "items", "in_average"),
}
# Older tables and hand-made ones may lack these. Without `scatter` all cells but the targets
# estimate the scatter; without `epochs` no data is repeated.
_OPTIONAL = {
    "cells": ("scatter", "epochs"),
    "losses": ("loss_sequences_lower", "loss_sequences_upper"),
    "tasks": ("chance_error",),
}
_ALIKE = ("fit_loss", "fit_error")

Row = dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """The finished cells of one data set, sorted by N, D, seed and path.

    Attributes
    ----------
    dataset : str
    cells : tuple of str
        Paths of the cells.
    recipes : tuple of str
    params, tokens, flops : array (n,)
    fit_loss, fit_error, target : bool array (n,)
    losses : dict of array (n,)
        Loss in nats by validation set; NaN where it was not measured.
    errors, sampling : dict of array (n,)
        Error rate by response and its standard error from the finite number of items.
    absent : tuple of str
        Fit cells that did not finish, with their status.
    scatter : bool array (n,), optional
        Cells from which the scatter about the law is estimated.
    loss_sampling : dict of array (n,)
        Standard error of each loss over the sequences it was evaluated on; NaN where unknown.
    chance : dict of array (n,)
        Error of guessing by response; NaN where unknown.
    unique_tokens : array (n,), optional
        Tokens of the training set; all of D unless cells say that they repeat it.
    """

    dataset: str
    cells: tuple[str, ...]
    recipes: tuple[str, ...]
    params: Array
    tokens: Array
    flops: Array
    fit_loss: Mask
    fit_error: Mask
    target: Mask
    losses: dict[str, Array]
    errors: dict[str, Array]
    sampling: dict[str, Array]
    absent: tuple[str, ...]
    scatter: Mask | None = None
    loss_sampling: dict[str, Array] = field(default_factory=dict)
    chance: dict[str, Array] = field(default_factory=dict)
    unique_tokens: Array | None = None

    def column(self, name: str, response: str, validation: str) -> Array:
        """Return one input of a law, see `scalebed.laws.forms.base.Law.inputs`, (n,).

        Parameters
        ----------
        name : str
        response : str
            Validation set or task the law is about.
        validation : str
            Validation set whose loss is meant by ``loss``.
        """
        nothing = np.full(len(self.cells), np.nan)
        if name == "loss":
            return self.loss(validation)
        if name == "chance":
            return self.chance.get(response, nothing)
        if name == "unique_tokens":
            return self.tokens if self.unique_tokens is None else self.unique_tokens
        column: Array = getattr(self, name)
        return column

    @property
    def scattered(self) -> Mask:
        """Cells that estimate the scatter; all but the targets unless it was said which."""
        return ~self.target if self.scatter is None else self.scatter

    def loss(self, validation: str) -> Array:
        """Return the loss on a validation set; NaN if it was measured nowhere."""
        return self.losses.get(validation, np.full(len(self.cells), np.nan))

    @property
    def recipe(self) -> str | None:
        """The one recipe of the fit cells; None if they mix recipes or there are no fit cells."""
        used = self.fit_loss | self.fit_error
        found = {recipe for recipe, inside in zip(self.recipes, used, strict=True) if inside}
        return found.pop() if len(found) == 1 else None

    @property
    def same_recipe(self) -> Mask:
        """Cells of the recipe of the fit."""
        return np.array([recipe == self.recipe for recipe in self.recipes], dtype=bool)

    @property
    def mixed(self) -> str | None:
        """Why the fit cells cannot share one fit, or None."""
        used = self.fit_loss | self.fit_error
        found = {recipe for recipe, inside in zip(self.recipes, used, strict=True) if inside}
        if len(found) < 2:
            return None
        return f"fit cells mix recipes ({', '.join(sorted(found))}), one law needs one recipe"


def read_tables(folder: Path) -> dict[str, list[Row]]:
    """Rows of ``cells``, ``losses`` and ``tasks`` of a tables folder.

    Raises
    ------
    ScalebedError
        If a file is missing or unreadable, or lacks a column.
    """
    import pyarrow
    import pyarrow.parquet

    tables = {}
    for name, columns in _COLUMNS.items():
        path = folder / f"{name}.parquet"
        try:
            table = pyarrow.parquet.read_table(path, partitioning=None)
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise ScalebedError(f"cannot read {path}: {error}") from error
        missing = [column for column in columns if column not in table.column_names]
        if missing:
            raise ScalebedError(f"{path} has no column {missing[0]!r}")
        more = [column for column in _OPTIONAL[name] if column in table.column_names]
        tables[name] = table.select([*columns, *more]).to_pylist()
    return tables


def collect_runs(
    tables: dict[str, list[Row]], averages: Mapping[str, list[str] | None] | None = None
) -> list[Runs]:
    """Finished cells and targets by data set, in the order of their names.

    Parameters
    ----------
    tables : dict
        Rows of ``cells``, ``losses`` and ``tasks``.
    averages : mapping, optional
        Further task averages by name; None stands for all tasks.

    Raises
    ------
    ScalebedError
        If a cell, or a measurement of a cell, occurs twice, or a task is called ``average``.
    """
    cells = _unique(tables["cells"], ("cell",), "cells")
    losses = _unique(tables["losses"], ("cell", "validation"), "losses")
    tasks = _unique(tables["tasks"], ("cell", "task"), "tasks")
    by_dataset: dict[str, list[Row]] = {}
    for row in cells.values():
        by_dataset.setdefault(row["dataset"], []).append(row)
    validations = sorted({row["validation"] for row in losses.values()})
    names = sorted({row["task"] for row in tasks.values()})
    if AVERAGE in names:
        raise ScalebedError(f"a task is called {AVERAGE!r}, which is the name of the task average")
    averaged = {AVERAGE: sorted({row["task"] for row in tasks.values() if row["in_average"]})}
    for average, members in (averages or {}).items():
        if average in (AVERAGE, *names):
            raise ScalebedError(f"fit.averages: {average!r} is the name of a task already")
        averaged[average] = names if members is None else sorted(members)
        if names and (unknown := sorted(set(averaged[average]) - set(names))):
            raise ScalebedError(f"fit.averages.{average}: no task is called {unknown[0]!r}")
    return [
        _runs(dataset, by_dataset[dataset], losses, tasks, (validations, names, averaged))
        for dataset in sorted(by_dataset)
    ]


def _unique(rows: Iterable[Row], keys: tuple[str, ...], table: str) -> dict[tuple[str, ...], Row]:
    result: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        if key in result:
            raise ScalebedError(f"table {table} has two rows for {' '.join(map(str, key))}")
        result[key] = row
    return result


def _runs(
    dataset: str,
    rows: list[Row],
    losses: dict[tuple[str, ...], Row],
    tasks: dict[tuple[str, ...], Row],
    names: tuple[list[str], list[str], dict[str, list[str]]],
) -> Runs:
    validations, task_names, averaged = names
    rows = sorted(rows, key=lambda row: (row["params"], row["tokens"], row["seed"], row["cell"]))
    # A target without a measurement is predicted all the same; nothing is ever fitted to it.
    kept = [row for row in rows if row["status"] == "done" or row["target"]]
    absent = [row for row in rows if row["status"] != "done" and any(row[key] for key in _ALIKE)]
    # Whatever was measured of a cell that is not done counts for nothing.
    measured = [row["cell"] if row["status"] == "done" else "" for row in kept]
    rates, sampling = errors(measured, tasks, task_names, averaged)
    return Runs(
        dataset=dataset,
        cells=tuple(row["cell"] for row in kept),
        recipes=tuple(row["recipe"] for row in kept),
        params=floats(row["params"] for row in kept),
        tokens=floats(row["tokens"] for row in kept),
        flops=floats(row["flops"] for row in kept),
        fit_loss=np.array([row["fit_loss"] for row in kept], dtype=bool),
        fit_error=np.array([row["fit_error"] for row in kept], dtype=bool),
        target=np.array([row["target"] for row in kept], dtype=bool),
        scatter=np.array([row.get("scatter", not row["target"]) for row in kept], dtype=bool),
        losses={
            name: floats(losses.get((cell, name), {}).get("loss") for cell in measured)
            for name in validations
        },
        errors=rates,
        sampling=sampling,
        loss_sampling={
            name: standard_error(losses.get((cell, name), {}) for cell in measured)
            for name in validations
        },
        chance=chance(measured, tasks, task_names, averaged),
        unique_tokens=unique_tokens(kept),
        absent=tuple(f"{row['cell']} ({row['status']})" for row in absent),
    )
