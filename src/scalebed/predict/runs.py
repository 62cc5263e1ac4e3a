"""From the tables of a study to the finished cells of each data set, in one canonical order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from scalebed.core.cells import ALL
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict import measurements
from scalebed.predict.independent import independent, joined
from scalebed.predict.measurements import Row
from scalebed.tables.designs import design_codes, near_codes

AVERAGE = "average"
"""Response that stands for the mean error over the tasks with ``in_average``."""

_ALIKE = ("fit_loss", "fit_error")


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
    unit, design, trunk : int array (n,), optional
        Codes that are equal for rows of one run, of equal N, D and unique tokens, and of runs that
        branch from one; without them every row has its own.
    taken : array (n,), optional
        Part of `flops` that was taken over from the trunk; none without.
    seed : int array (n,), optional
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
    unit: Index | None = None
    design: Index | None = None
    trunk: Index | None = None
    taken: Array | None = None
    seed: Index | None = None

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

    def independent(self, used: Mask) -> int:
        """Count the independent runs, designs or trunks among some of the cells."""
        codes = (self.unit, self.design, self.trunk)
        known = [code[used] for code in codes if code is not None]
        return independent(known, int(np.count_nonzero(used)))

    def groups(self, used: Mask) -> Index:
        """Codes of some cells, from 0 on, equal for those that share a run, a design or a trunk."""
        codes = (self.unit, self.design, self.trunk)
        known = [code[used] for code in codes if code is not None]
        return joined(known, int(np.count_nonzero(used)))

    def spent(self, used: Mask) -> float:
        """Training compute of some cells, every step of a trunk once, in FLOPs."""
        total = float(self.flops[used].sum())
        if self.trunk is None or self.taken is None:
            return total
        codes, taken = self.trunk[used], self.taken[used]
        for code in np.unique(codes):
            of_one = taken[codes == code]
            total -= float(of_one.sum() - of_one.max())
        return total

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
        If a cell, or a measurement of a cell, occurs twice, a task is called ``average``, or a data
        set ``all``.
    """
    cells = _unique(tables["cells"], ("cell",), "cells")
    losses = _unique(tables["losses"], ("cell", "validation"), "losses")
    tasks = _unique(tables["tasks"], ("cell", "task"), "tasks")
    by_dataset: dict[str, list[Row]] = {}
    for row in cells.values():
        by_dataset.setdefault(row["dataset"], []).append(row)
    if ALL in by_dataset and len(by_dataset) > 1:
        raise ScalebedError(
            f"a data set is called {ALL!r}, which stands for all data sets together; expected "
            "another name"
        )
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
            raise ScalebedError(
                f"fit.averages.{average}: no task is called {', '.join(map(repr, unknown))}; "
                f"there is {', '.join(names)}"
            )
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
    rates, sampling = measurements.errors(measured, tasks, task_names, averaged)
    params, tokens = (
        measurements.floats(row[name] for row in kept) for name in ("params", "tokens")
    )
    unique = measurements.unique_tokens(kept)
    return Runs(
        dataset=dataset,
        cells=tuple(row["cell"] for row in kept),
        recipes=tuple(row["recipe"] for row in kept),
        params=params,
        tokens=tokens,
        flops=measurements.floats(row["flops"] for row in kept),
        fit_loss=np.array([row["fit_loss"] for row in kept], dtype=bool),
        fit_error=np.array([row["fit_error"] for row in kept], dtype=bool),
        target=np.array([row["target"] for row in kept], dtype=bool),
        scatter=np.array([row.get("scatter", not row["target"]) for row in kept], dtype=bool),
        losses={
            name: measurements.floats(losses.get((cell, name), {}).get("loss") for cell in measured)
            for name in validations
        },
        errors=rates,
        sampling=sampling,
        loss_sampling={
            name: measurements.standard_error(losses.get((cell, name), {}) for cell in measured)
            for name in validations
        },
        chance=measurements.chance(measured, tasks, task_names, averaged),
        unique_tokens=unique,
        design=design_codes(near_codes(unique), params, tokens),
        trunk=measurements.trunks(kept),
        taken=measurements.taken(kept),
        seed=np.array([row["seed"] for row in kept], dtype=np.int64),
        absent=tuple(f"{row['cell']} ({row['status']})" for row in absent),
    )
