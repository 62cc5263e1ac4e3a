"""A table of runs as it was read: its columns, and which rows depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas

from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.tables.designs import design_codes, near_codes
from scalebed.tables.runs_names import Naming
from scalebed.tables.runs_rows import (
    Likely,
    codes_of,
    is_finished,
    likely_runs,
)

if TYPE_CHECKING:
    import pyarrow

Words = npt.NDArray[np.object_]
PREDICTED = 1000
"""How many planned runs of a table are predicted."""


@dataclass(frozen=True)
class RunTable:
    """The runs of a table, in its order, each row once.

    Attributes
    ----------
    path : Path
    rows : int array (n,)
        Where the runs stand in the file; the first row below the header is 1.
    repeats : tuple of pairs of int
        Rows that were left out because they equal an earlier one in all columns, with that one.
    finished : bool array (n,)
        Rows that count: of a run that finished, with a usable loss, and not `earlier`.
    earlier : bool array (n,)
        Rows that are set aside as earlier checkpoints of a run that finished.
    planned : bool array (n,)
        Rows of runs that are still to come: with N and D, and without a loss or with such a status.
    dataset : object array (n,)
        Training data set; `ALL` everywhere if the table has no such column.
    run, seed, trunk, status : object array (n,) or None
        Names as given; all but those of runs may be empty.
    params, tokens : array (n,)
        Of rows that count above 0; as given elsewhere.
    step : array (n,) or None
        NaN where it is empty.
    unique_tokens : array (n,) or None
        Tokens of the training set, each counted once.
    flops : array (n,) or None
        As given; only for reports.
    ratio : array (n,) or None
        Token multiplier M as given, NaN where it is empty.
    losses, errors : dict of array (n,)
        By column name, ``loss`` and ``error`` first. A loss that is NaN belongs to a run that did
        not finish; a NaN error was not measured.
    tasks : dict of dict of array (n,)
        What is known of the column of an error beside it: its ``stderr`` from the finite number of
        items, ``chance``, the error of guessing, and ``items``; NaN where unknown.
    naming : Naming
        Which column of the file was read as what.
    ignored : tuple of str
        Columns that were not read.
    given : pyarrow.Table
        All columns of these rows as they stand in the file.
    """

    path: Path
    rows: Index
    repeats: tuple[tuple[int, int], ...]
    finished: Mask
    earlier: Mask
    planned: Mask
    dataset: Words
    run: Words | None
    seed: Words | None
    trunk: Words | None
    status: Words | None
    params: Array
    tokens: Array
    step: Array | None
    unique_tokens: Array | None
    flops: Array | None
    ratio: Array | None
    losses: dict[str, Array]
    errors: dict[str, Array]
    tasks: dict[str, dict[str, Array]]
    naming: Naming
    ignored: tuple[str, ...]
    given: pyarrow.Table

    @property
    def stderr(self) -> Array | None:
        """Standard error of ``error``, (n,)."""
        return self.tasks.get("error", {}).get("stderr")

    @property
    def named(self) -> dict[str, str]:
        """Columns of the file that were read under another name, by the name of ours."""
        return {key: name for key, name in self.naming.columns.items() if key != name}

    def label(self, i: int) -> str:
        """Name a row: by its run if it has one, else by its place in the file."""
        return f"row {self.rows[i]}" if self.run is None else f"run {self.run[i]}"

    @cached_property
    def by_status(self) -> Mask:
        """Rows that their status makes no finished run, planned ones aside, (n,)."""
        if self.status is None:
            return np.zeros_like(self.finished)
        return ~is_finished(self.status) & ~self.planned

    @cached_property
    def sets(self) -> Index:
        """Int codes of the data sets, (n,)."""
        return np.asarray(pandas.factorize(self.dataset)[0], dtype=np.int64)

    @cached_property
    def _data(self) -> Index:
        """Int codes of what was trained on: the data set and its unique tokens, (n,)."""
        if self.unique_tokens is None:
            return self.sets
        frame = pandas.DataFrame({"set": self.sets, "unique": near_codes(self.unique_tokens)})
        codes = frame.groupby(list(frame), sort=False).ngroup()
        return np.asarray(codes, dtype=np.int64)

    @cached_property
    def likely(self) -> Sequence[Likely]:
        """Rows that are taken for checkpoints of one run, though no column says so."""
        if self.run is not None:
            return ()
        at = np.flatnonzero(self.finished)
        frame = pandas.DataFrame({"data": self._data[at], "size": near_codes(self.params[at])})
        if self.seed is not None:
            frame["seed"] = self.seed[at]
        codes = frame.groupby(list(frame), sort=False).ngroup()
        groups = np.asarray(codes, dtype=np.int64)
        found = likely_runs(groups, self.params[at], self.tokens[at], self.losses["loss"][at])
        return tuple(one._replace(rows=at[one.rows]) for one in found)

    @cached_property
    def units(self) -> Index:
        """Int codes, (n,), equal for rows that are of one run, so not independent."""
        codes = codes_of(self.sets, self.run)
        for one in self.likely:
            codes[one.rows] = codes[one.rows[0]]
        return codes

    @cached_property
    def designs(self) -> Index:
        """Int codes, (n,), equal for rows of equal data set, N and D to within 1e-6.

        Where the unique tokens are given, these are equal too.
        """
        return design_codes(self._data, self.params, self.tokens)

    @cached_property
    def trunks(self) -> Index:
        """Int codes, (n,), of equal data set and trunk; rows without one have their own."""
        return codes_of(self.sets, self.trunk)
