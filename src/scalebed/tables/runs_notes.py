"""What is said of a table of runs: names, rows that are set aside, repeats and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas

from scalebed.laws.forms.base import Array, Index
from scalebed.tables.runs_table import PREDICTED, RunTable
from scalebed.tables.runs_units import unit_notes

_FLOPS_TOLERANCE = 0.05
_NEAR_POWER = 0.5
"""Largest distance from a power of 1,000, in powers of ten; laws of FLOPs differ by less."""
_NAMED = 10
_ROWS = 5


def about(table: RunTable) -> dict[str, Any]:
    """Return what the record of a fit says of its table."""
    lost = table.rows[~table.finished & ~table.earlier & ~table.planned].tolist()
    return {
        "path": str(table.path),
        "rows": int(table.params.size),
        "runs": int(np.unique(table.units).size),
        "finished": int(np.count_nonzero(table.finished)),
        "planned": int(np.count_nonzero(table.planned)),
        "unfinished": len(lost),
        "first_unfinished_rows": lost[:20],
        "set_aside": [
            {"row": int(table.rows[i]), "reason": reason(table, i)}
            for i in np.flatnonzero(~table.finished & ~table.planned).tolist()
        ],
        "columns": table.named,
        "columns_not_used": list(table.ignored),
    }


def reason(table: RunTable, i: int) -> str:
    """Return why a row does not count.

    Parameters
    ----------
    table : RunTable
    i : int
        Place of the row in the arrays of the table.
    """
    if table.earlier[i] and table.run is not None:
        return (
            f"earlier checkpoint of run {table.run[i]}, which finished: its learning rate had "
            "not come down yet"
        )
    if table.planned[i]:
        return "no loss yet"
    if table.by_status[i] and table.status is not None:
        return f"status {table.status[i]}" if table.status[i] else "no status"
    return "no finite loss"


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
    """Sentences on names, rows that repeat others or are set aside, checkpoints and FLOPs."""
    yield from table.naming.notes
    yield from unit_notes(table)
    if table.repeats:
        yield repeats_note(table)
    yield from _unfinished_notes(table)
    yield from _checkpoint_notes(table)
    yield from _design_notes(table)
    yield from _flops_notes(table)


def _unfinished_notes(table: RunTable) -> Iterator[str]:
    """Rows that are still to come, those set aside by their status, then runs without a loss."""
    at = np.flatnonzero(table.planned)
    if at.size:
        have = "run has" if at.size == 1 else "runs have"
        most = f"; the first {PREDICTED} are predicted" if at.size > PREDICTED else ""
        yield f"{at.size} {have} no loss yet: {_places(table, at)}{most}"
    at = np.flatnonzero(table.by_status)
    if at.size and table.status is not None:
        named = [f"{table.label(i)} ({table.status[i] or 'no status'})" for i in at[:_NAMED]]
        are = (
            "row is no finished run and is" if at.size == 1 else "rows are no finished run and are"
        )
        yield f"{at.size} {are} set aside: {_listed(named, at.size)}"
    rows = table.params.size
    for name, loss in table.losses.items():
        aside = table.by_status | table.earlier | table.planned
        lost = np.flatnonzero(~np.isfinite(loss) & ~aside)
        if lost.size:
            yield (
                f"{lost.size} of {rows} runs {'has' if lost.size == 1 else 'have'} no finite "
                f"{name}: {_places(table, lost)}"
            )


def _checkpoint_notes(table: RunTable) -> Iterator[str]:
    """Rows of one run: set aside, taken as one, or recognised."""
    if table.run is not None:
        at = np.flatnonzero(table.earlier)
        if at.size:
            are = "row is an earlier checkpoint" if at.size == 1 else "rows are earlier checkpoints"
            yield (
                f"{at.size} {are} of runs that finished, set aside as their learning rate had not "
                f"come down yet: {_by_run(table, at)}"
            )
        at = np.flatnonzero(table.finished)
        at = at[pandas.Series(table.units[at]).duplicated(keep=False).to_numpy()]
        if at.size:
            runs = np.unique(table.units[at]).size
            yield (
                f"{at.size} rows are checkpoints of {runs} run{'s' if runs > 1 else ''}, and "
                f"those of one run are not independent: {_by_run(table, at)}"
            )
    if table.likely:
        rows = np.concatenate([one.rows for one in table.likely])
        named = [
            f"size {one.params:.4g}: {one.counts} equally spaced token counts"
            for one in table.likely[:_NAMED]
        ]
        many = len(table.likely) > 1
        yield (
            f"{_places(table, np.sort(rows))} look like checkpoints of "
            f"{f'{len(table.likely)} runs' if many else 'one run'} "
            f"({_listed(named, len(table.likely), '; ')}): they are taken as "
            f"{'one run each' if many else 'one run'}; a column run says otherwise"
        )


def _design_notes(table: RunTable) -> Iterator[str]:
    """Say which runs share a design."""
    at = np.flatnonzero(table.finished)
    codes = table.designs[at]
    codes = codes[pandas.Series(codes).duplicated(keep=False).to_numpy()]
    if codes.size:
        designs = np.unique(codes).size
        yield (
            f"{codes.size} rows are repeats of {designs} design{'s' if designs > 1 else ''} "
            "(equal params and tokens): seeds of one design show how far runs scatter, not how "
            "far the law is off"
        )


def _flops_notes(table: RunTable) -> Iterator[str]:
    if table.flops is None:
        return
    usual = 6 * table.params * table.tokens
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.flatnonzero(np.abs(table.flops / usual - 1) > _FLOPS_TOLERANCE)
    if off.size:
        i = off[0]
        yield (
            f"flops of {off.size} of {table.params.size} runs differ from 6 N D by more than 5 %: "
            f"row {table.rows[i]} has {table.flops[i]:.3g}, 6 N D is {usual[i]:.3g}; "
            f"only N and D enter the laws{_power_of_1000(table.flops / usual)}"
        )


def _power_of_1000(ratio: Array) -> str:
    """Say that FLOPs differ from 6 N D by one power of 1,000 in all rows, "" if they do not."""
    power = np.log10(ratio[np.isfinite(ratio) & (ratio > 0)])
    thousands = round(float(np.median(power)) / 3) if power.size else 0
    if not thousands or np.abs(power - 3 * thousands).max() > _NEAR_POWER:
        return ""
    return (
        f"; in every row they are about {10.0 ** (3 * thousands):.0e} times 6 N D, so params, "
        "tokens or flops are in another unit"
    )


def _places(table: RunTable, at: Index) -> str:
    """Name rows by their run if they have one, the first few of many."""
    what, names = ("row", table.rows) if table.run is None else ("run", table.run)
    shown = ", ".join(str(name) for name in names[at[:_ROWS]])
    return f"{what}{'s' if at.size > 1 else ''} {shown}{', ...' if at.size > _ROWS else ''}"


def _by_run(table: RunTable, at: Index) -> str:
    """List runs with the rows that are theirs."""
    units = table.units[at]
    named = []
    for unit in pandas.unique(units)[:_NAMED]:
        own = at[units == unit]
        name = "" if table.run is None else table.run[own[0]]
        rows = ", ".join(map(str, table.rows[own[:_ROWS]].tolist()))
        more = ", ..." if own.size > _ROWS else ""
        named.append(f"run {name} (row{'s' if own.size > 1 else ''} {rows}{more})")
    return _listed(named, np.unique(units).size)


def _listed(named: Sequence[str], count: int, comma: str = ", ") -> str:
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"{comma.join(named)}{more}"
