"""A ladder from a plain table of runs whose column `curve` names the file of each run's curve."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_table import RunTable
from scalebed.watch.ladder import WINDOW, Rung, rung_of
from scalebed.watch.live import read_live

COLUMN: Final = "curve"


def read_table_ladder(path: str | Path, dataset: str | None, response: str | None) -> list[Rung]:
    """Return the finished runs of a table that name a curve.

    Parameters
    ----------
    path : str or Path
        CSV, TSV or parquet, as `scalebed.tables.runs_file` reads it; files of curves are looked for
        from its folder on.
    dataset : str, optional
        Data set; needed where there are several.
    response : str, optional
        Column of the final loss, ``loss`` if None.

    Raises
    ------
    ScalebedError
        If there are no such runs, or a curve cannot be read or ends before its run.
    """
    table = read_runs(path)
    if COLUMN not in table.given.column_names:
        raise ScalebedError(
            f"{path} has no column {COLUMN}: a ladder needs the file of every run's curve"
        )
    known = sorted(set(table.dataset.tolist()))
    if dataset is None and len(known) == 1:
        dataset = known[0]
    response = response or "loss"
    if response not in table.losses:
        raise ScalebedError(
            f"{path} has no column {response!r}, expected one of {', '.join(table.losses)}"
        )
    final, named = table.losses[response], table.given.column(COLUMN).to_pylist()
    wanted = table.finished & (table.dataset == dataset) & np.isfinite(final)
    rows = [int(i) for i in np.flatnonzero(wanted) if str(named[i] or "").strip()]
    if not rows:
        raise ScalebedError(
            f"{path} has no finished runs of {dataset!r} with a {COLUMN}, expected a data set of "
            f"{', '.join(known)}"
        )
    return [_rung(table, i, float(final[i]), str(named[i]).strip()) for i in rows]


def _rung(table: RunTable, i: int, final: float, name: str) -> Rung:
    curve, total = read_live(table.path.parent / name), float(table.tokens[i])
    steps = int(curve.step[-1]) if np.isfinite(curve.step[-1]) and curve.step[-1] >= 1 else None
    curve = curve.progress(total, steps, None)
    seen = float(curve.tokens[-1])
    # A curve that stops early would be compared at fractions that are none of its schedule.
    if abs(seen / total - 1) > WINDOW:
        raise ScalebedError(
            f"{table.path}, {table.label(i)}: {name} ends at {amount_text(seen)} tokens, expected "
            f"the {amount_text(total)} of the run"
        )
    params = float(table.params[i])
    return rung_of(table.label(i), params, total, final, curve.tokens, curve.loss, curve.lr)
