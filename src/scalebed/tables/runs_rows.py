"""What the rows of a table of runs are: finished runs, checkpoints of one, repeats of a design."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.tables.designs import NEAR, near_codes

Words = npt.NDArray[np.object_]
Numbers = tuple[Array, Array, Array | None]
"""N, D and step of rows."""

_FINISHED = ("finished", "done", "completed", "success")
_PLANNED = ("planned", "pending", "queued", "scheduled", "todo", "not started")
_ELSE = (
    *("crashed", "failed", "killed", "running", "preempted", "preempting", *_PLANNED),
    *("stopped", "cancelled", "canceled", "error", "timeout", "diverged", "interrupted", ""),
)
_EQUAL_GAPS = 0.01
_FEWEST = 5
_FALLING = -0.5
# Bare names of sizes: 150M, 1.3B, 70b-params.
_SIZE = re.compile(r"\d+(\.\d+)?\s*[kmbt]([\s_-]?params)?", re.IGNORECASE)


class Likely(NamedTuple):
    """Rows that look like the checkpoints of one run: their places, N and their token counts."""

    rows: Index
    params: float
    counts: int


def is_finished(status: Words) -> Mask:
    """Whether the status of a row is that of a finished run."""
    codes, names = pandas.factorize(status)
    return np.array([name.lower() in _FINISHED for name in names], dtype=bool)[codes]


def is_planned(status: Words) -> Mask:
    """Whether the status of a row is that of a run that has not begun."""
    codes, names = pandas.factorize(status)
    return np.array([name.lower() in _PLANNED for name in names], dtype=bool)[codes]


def no_status(status: Words) -> str:
    """Why words are no status of runs, "" if all of them can be."""
    for name in pandas.unique(status):
        if name.lower() not in (*_FINISHED, *_ELSE):
            return f"{name!r} is no status of a run that is known"
    return ""


def no_runs(column: str, words: dict[str, Words], numbers: Numbers) -> str:
    """Why a column of another name than ``run`` does not name runs, "" if it can.

    Parameters
    ----------
    column : str
        Name of the column without case and joints.
    words : dict of object array (n,)
        Columns ``run``, as which it would be read, and ``dataset``, if there is one.
    numbers : tuple of arrays (n,)
        N, D and step.
    """
    names = words["run"]
    if names.size > 1 and names[0] in ("0", "1"):
        first = int(names[0])
        if all(name == str(first + i) for i, name in enumerate(names)):
            return "it only counts the rows"
    frame = pandas.DataFrame(words)
    if not frame.duplicated().any():
        return ""
    runs = np.asarray(frame.groupby(list(words), sort=False).ngroup(), dtype=np.int64)
    clash = _clash(runs, numbers)
    if clash is not None:
        what = "several params" if clash[2] == "params" else "the same tokens twice"
        return f"its name {names[clash[0]]!r} has {what}"
    sizes = frame.drop(columns="run").assign(size=near_codes(numbers[0])).drop_duplicates()
    bare = all(_SIZE.fullmatch(name.strip()) for name in pandas.unique(names))
    if len(sizes) == runs.max() + 1 and (bare or column in ("model", "modelname")):
        return "its names are those of sizes"
    return ""


def _clash(runs: Index, numbers: Numbers) -> tuple[int, int, str] | None:
    """First row that cannot be of the run whose name it has, the row it contradicts, and why."""
    params, tokens, step = numbers
    frame = pandas.DataFrame({"run": runs, "params": params, "tokens": tokens})
    if step is not None:
        frame["step"] = step
    frame = frame[frame["run"].duplicated(keep=False)]
    if frame.empty:
        return None
    first = frame.index.to_series().groupby(frame["run"]).transform("first")
    other = params[first.to_numpy()]
    wrong = frame.index[(np.abs(frame["params"] / other - 1) > NEAR).to_numpy()]
    if wrong.size:
        return int(wrong[0]), int(first[wrong[0]]), "params"
    keys = [name for name in frame if name != "params"]
    twice = frame.index[frame.duplicated(keys).to_numpy()]
    if not twice.size:
        return None
    same = (frame[keys].fillna(-1) == frame.loc[twice[0], keys].fillna(-1)).all(axis=1)
    return int(twice[0]), int(frame.index[same.to_numpy()][0]), "tokens"


def refuse_contradictions(
    path: Path, rows: Index, words: dict[str, Words], numbers: Numbers
) -> None:
    """Refuse rows of one run that are no checkpoints of it.

    Parameters
    ----------
    path : Path
        The file.
    rows : int array (n,)
        Where the rows stand in it, from 1.
    words : dict of object array (n,)
        Columns ``run`` and ``dataset``, if there is one.
    numbers : tuple of arrays (n,)
        N, D and step.

    Raises
    ------
    ScalebedError
        If two of them differ in N, or have the same D and the same step.
    """
    frame = pandas.DataFrame(words)
    at = np.flatnonzero(frame.duplicated(keep=False).to_numpy())
    if not at.size:
        return
    runs = np.asarray(frame.iloc[at].groupby(list(words), sort=False).ngroup(), dtype=np.int64)
    params, tokens, step = numbers
    clash = _clash(runs, (params[at], tokens[at], None if step is None else step[at]))
    if clash is None:
        return
    names = words["run"]
    this, other = at[clash[0]], at[clash[1]]
    head = f"{path} row {rows[this]}: run is {names[this]!r}, the name of row {rows[other]} already"
    if clash[2] == "params":
        raise ScalebedError(
            f"{head}, but params is {params[this]:.6g} here and {params[other]:.6g} there; "
            "expected a name of its own, or the params of a checkpoint of that run"
        )
    same = "" if step is None or np.isnan(step[this]) else f" and step {step[this]:.6g}"
    raise ScalebedError(
        f"{head}, and both have tokens {tokens[this]:.6g}{same}; expected a name of its own, "
        "or the tokens of another checkpoint of that run"
    )


def earlier_checkpoints(runs: Index, at: Index, tokens: Array, step: Array | None) -> Mask:
    """Rows of finished runs before the last one of their run: largest step, else D.

    Parameters
    ----------
    runs : int array (n,)
        Codes of runs.
    at : int array (m,)
        Rows that count.
    tokens : array (n,)
    step : array (n,) or None
    """
    found = np.zeros(runs.size, dtype=bool)
    at = at[pandas.Series(runs[at]).duplicated(keep=False).to_numpy()]
    if at.size:
        time = np.zeros(runs.size) if step is None else np.nan_to_num(step, nan=-np.inf)
        order = at[np.lexsort((tokens[at], time[at], runs[at]))]
        found[order[:-1]] = runs[order[:-1]] == runs[order[1:]]
    return found


def codes_of(sets: Index, names: Words | None) -> Index:
    """Int codes of equal (data set, name); rows without a name have one of their own."""
    n = sets.size
    if names is None:
        return np.arange(n)
    codes, _ = pandas.factorize(names)
    blank = names == ""
    both = sets.astype(np.int64) * (int(codes.max(initial=0)) + 1) + codes
    dense = pandas.factorize(both)[0].astype(np.int64)
    return np.where(blank, n + np.arange(n), dense)


def likely_runs(groups: Index, params: Array, tokens: Array, loss: Array) -> list[Likely]:
    """Find rows of one group that look like checkpoints of one run.

    That is: at least five token counts, every gap between them a whole multiple of the smallest
    within 1 %, more than half of the gaps that smallest one, and losses that fall with D (rank
    correlation below -1/2). Rows of equal D are one count, of their mean loss.

    Parameters
    ----------
    groups : int array (n,)
        Codes of what is held fixed: data set, N, and the seed if there is one.
    params, tokens, loss : array (n,)
    """
    at = np.flatnonzero(np.bincount(groups)[groups] >= _FEWEST)
    order = at[np.lexsort((tokens[at], groups[at]))]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    found = []
    for rows in np.split(order, starts[1:]):
        counts = near_codes(tokens[rows])
        first = np.flatnonzero(np.diff(counts, prepend=-1))
        if first.size >= _FEWEST and _evenly(tokens[rows][first]):
            mean = pandas.Series(loss[rows]).groupby(counts).mean()
            if np.corrcoef(mean.rank(), np.arange(mean.size))[0, 1] < _FALLING:
                found.append(Likely(rows, float(params[rows[0]]), int(first.size)))
    return found


def _evenly(tokens: Array) -> bool:
    """Whether rising token counts are equally spaced, some of them perhaps missing."""
    gaps = np.diff(tokens)
    smallest = gaps.min()
    times = np.round(gaps / smallest)
    whole = np.abs(gaps / smallest - times) <= _EQUAL_GAPS * times
    return bool(whole.all() and 2 * np.count_nonzero(times == 1) > times.size)
