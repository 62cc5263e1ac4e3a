"""The runs of a plain table by data set, as the fits take them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options
from scalebed.laws.forms.base import Array, Index, Law, Mask
from scalebed.predict.independent import independent
from scalebed.predict.large import LARGE
from scalebed.predict.runs import Runs
from scalebed.predict.stages import Measured
from scalebed.tables.runs_table import PREDICTED, RunTable


@dataclass(frozen=True)
class Target:
    """A run to predict: N, D, the data set, None for all of them, and the tokens it may repeat.

    Without unique tokens it sees each of its own once. A run that a table plans has a name.
    """

    params: float
    tokens: float
    dataset: str | None = None
    unique_tokens: float | None = None
    name: str | None = None

    @property
    def cell(self) -> str:
        """Name for the random streams."""
        name = f"target/{self.params:.17g}/{self.tokens:.17g}"
        return name if self.unique_tokens is None else f"{name}/{self.unique_tokens:.17g}"

    @property
    def seen(self) -> float:
        """Tokens of its training set."""
        return self.tokens if self.unique_tokens is None else min(self.unique_tokens, self.tokens)


@dataclass(frozen=True)
class Group:
    """The finished runs of one data set, in canonical order, and its targets."""

    table: RunTable
    dataset: str
    rows: Index
    targets: tuple[Target, ...]

    @property
    def large(self) -> bool:
        """Whether refitting resamples would cost too much."""
        return self.rows.size > LARGE

    @property
    def units(self) -> Index:
        """Codes of its rows, equal for rows of one run."""
        return self.table.units[self.rows]

    @property
    def designs(self) -> Index:
        """Codes of its rows, equal for rows of equal N and D."""
        return self.table.designs[self.rows]

    @property
    def trunks(self) -> Index:
        """Codes of its rows, equal for rows of runs that branch from one."""
        return self.table.trunks[self.rows]

    def independent(self, response: str) -> int:
        """Count the independent runs, designs or trunks that have a response."""
        table = self.table
        values = (table.losses if response in table.losses else table.errors)[response]
        known = np.isfinite(values[self.rows])
        codes = [code[known] for code in (self.units, self.designs, self.trunks)]
        return independent(codes, int(np.count_nonzero(known)))

    @property
    def cells(self) -> tuple[str, ...]:
        """Names for the random streams; they do not depend on the order of the table."""
        return tuple(target.cell for target in self.targets)

    def names(self, known: Mask) -> tuple[str, ...]:
        """Name some of the rows: by run and step where the table has them, else by N and D."""
        table = self.table
        found = []
        for row in self.rows[known].tolist():
            name = f"N={table.params[row]:.3g} D={table.tokens[row]:.3g}"
            found.append(name if table.run is None else f"{table.run[row]} {name}")
        return tuple(found)

    def measured(self, response: str, law: Law, options: Options) -> Measured:
        """Return what the law of one response is fitted to."""
        table = self.table
        values = (table.losses if response in table.losses else table.errors)[response]
        at = self.rows[np.isfinite(values[self.rows])]
        blank = np.full(table.params.size, np.nan)
        unique = table.unique_tokens
        columns = {
            "params": table.params[at],
            "tokens": table.tokens[at],
            "unique_tokens": (table.tokens if unique is None else unique)[at],
            "flops": 6 * table.params[at] * table.tokens[at],
            "loss": table.losses["loss"][at],
            "chance": table.tasks.get(response, {}).get("chance", blank)[at],
        }
        x = tuple(columns.get(name, blank[at]) for name in law.inputs)
        return Measured(law, x, values[at], self.sampling(response, at), options)

    def sampling(self, response: str, at: Index) -> Array:
        """Return the standard error of errors; 0 if not given, the scatter then contains it."""
        given = self.table.tasks.get(response, {}).get("stderr")
        return np.zeros(at.size) if given is None else np.nan_to_num(given[at])


def with_planned(table: RunTable, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Return the targets and, behind them, the runs that the table plans, each N and D once."""
    found: dict[Target, list[str]] = {}
    for i in np.flatnonzero(table.planned)[:PREDICTED].tolist():
        known = table.unique_tokens
        unique = None if known is None or not np.isfinite(known[i]) else float(known[i])
        one = Target(float(table.params[i]), float(table.tokens[i]), str(table.dataset[i]), unique)
        if not {one, replace(one, dataset=None)} & set(targets):
            found.setdefault(one, []).append(table.label(i))
    return (*targets, *(replace(one, name=", ".join(names)) for one, names in found.items()))


def groups_of(table: RunTable, targets: tuple[Target, ...]) -> list[Group]:
    """Group the finished runs of a table by data set."""
    import pandas

    codes, names = pandas.factorize(table.dataset, sort=True)
    for target in targets:
        if target.dataset is not None and target.dataset not in set(names):
            raise ScalebedError(
                f"--target: {table.path} has no data set {target.dataset!r}, "
                f"expected one of {', '.join(names)}"
            )
    order = np.lexsort((table.losses["loss"], table.tokens, table.params))
    order = order[table.finished[order]]
    return [
        Group(
            table,
            str(name),
            order[codes[order] == code],
            tuple(target for target in targets if target.dataset in (None, name)),
        )
        for code, name in enumerate(names)
    ]


def runs_of(group: Group) -> Runs:
    """Columns for the joint bootstrap: the runs, then the targets; only targets if large."""
    table = group.table
    rows = group.rows[:0] if group.large else group.rows
    targets = group.targets
    blank = np.full(len(targets), np.nan)
    params = np.append(table.params[rows], [target.params for target in targets])
    tokens = np.append(table.tokens[rows], [target.tokens for target in targets])
    inside = np.arange(params.size) < rows.size
    sampling = {name: np.append(group.sampling(name, rows), blank) for name in table.errors}
    return Runs(
        dataset=group.dataset,
        cells=(*_cells(table, rows), *group.cells),
        recipes=("table",) * params.size,
        params=params,
        tokens=tokens,
        flops=6 * params * tokens,
        fit_loss=inside,
        fit_error=inside,
        target=~inside,
        losses={name: np.append(values[rows], blank) for name, values in table.losses.items()},
        errors={name: np.append(values[rows], blank) for name, values in table.errors.items()},
        sampling=sampling,
        chance={
            name: _everywhere(known["chance"], params.size)
            for name, known in table.tasks.items()
            if "chance" in known
        },
        absent=(),
        unique_tokens=_unique_tokens(table, rows, targets),
        unit=_with_fresh(table.units, rows, len(targets)),
        design=_with_fresh(table.designs, rows, len(targets)),
        trunk=_with_fresh(table.trunks, rows, len(targets)),
    )


def _unique_tokens(table: RunTable, rows: Index, targets: tuple[Target, ...]) -> Array | None:
    """Tokens of the training sets; None if each run sees each of its own once."""
    known = table.unique_tokens
    if known is None:
        if all(target.unique_tokens is None for target in targets):
            return None
        known = table.tokens
    return np.append(known[rows], [target.seen for target in targets])


def _everywhere(chance: Array, size: int) -> Array:
    """Error of guessing of a task, the same for all runs."""
    known = chance[np.isfinite(chance)]
    return np.full(size, known[0] if known.size else np.nan)


def _with_fresh(codes: Index, rows: Index, count: int) -> Index:
    """Append codes that nothing else in the table has to those of some rows."""
    return np.append(codes[rows], codes.max(initial=-1) + 1 + np.arange(count))


def _cells(table: RunTable, rows: Index) -> Iterator[str]:
    """Names of runs: as given, else N, D and a count of the runs that share them.

    A second row of a run is named after its D as well. A column that was only recognised as run
    names no random stream, so that the draws do not hang on it.
    """
    seen: Counter[str] = Counter()
    named = table.run is not None and "run" not in table.naming.guessed
    for row in rows.tolist():
        name = f"{table.params[row]:.17g}/{table.tokens[row]:.17g}"
        if named and table.run is not None:
            name = f"run/{table.run[row]}"
            seen[name] += 1
            if seen[name] == 1:
                yield name
                continue
            name = f"{name}/{table.tokens[row]:.17g}"
        seen[name] += 1
        yield f"{name}/{seen[name]}"
