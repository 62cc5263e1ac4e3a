"""What the finished runs of a ladder say of the end of a run from its loss on the way.

At a fraction f of the schedule y = ln(loss at f / final response) is known for every rung. For a
run of other N and D it is predicted by a few simple regressions on ln N and ln M together, the more
weight the better one predicts each rung from the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.tables.reader import StudyDatabase

WINDOW: Final = 0.05
"""Share of the schedule over which losses are averaged."""
FEWEST: Final = 6
"""Rungs that a comparison needs at the least: two axes then leave three degrees of freedom."""
NEAREST: Final = 3
_FORMS: Final = {"the mean": (), "ln N": (0,), "ln M": (1,), "ln N and ln M": (0, 1)}


@dataclass(frozen=True)
class Rung:
    """A finished run: fraction of the schedule, loss and learning rate of every row, (n,)."""

    name: str
    params: float
    tokens: float
    final: float
    fraction: Array
    loss: Array
    lr: Array


class Mean(NamedTuple):
    """Mean loss of a window of a curve, its standard error and rows."""

    value: float
    error: float
    rows: int


class Ratio(NamedTuple):
    """ln(loss at f / final response) of a run, predicted: a normal.

    Attributes
    ----------
    value, sd : float
        For one new run; `sd` is that of the normal with the interval of Student's t.
    words : str
        How it was found.
    sampling : float
        Mean relative variance of the windows of the ladder, part of `sd`.
    """

    value: float
    sd: float
    words: str
    sampling: float = 0.0


def window(fraction: Array, loss: Array, end: float) -> Mean | None:
    """Mean over (end - `WINDOW`, end] of the schedule; None without rows there.

    The standard error is that about a straight line.
    """
    inside = (fraction > end - WINDOW) & (fraction <= end + 1e-9)
    values = loss[inside]
    if not values.size:
        return None
    if values.size < 4:
        return Mean(float(values.mean()), np.nan, values.size)
    line = np.polynomial.polynomial.polyfit(fraction[inside] - end, values, 1)
    rest = values - np.polynomial.polynomial.polyval(fraction[inside] - end, line)
    spread = float(np.sqrt(np.sum(rest**2) / (values.size - 2)))
    return Mean(float(values.mean()), spread / np.sqrt(values.size), values.size)


def ratio_at(
    rungs: Sequence[Rung], fraction: float, target: tuple[float, float], level: float
) -> Ratio:
    """Predict ln(loss at a fraction / final response) of a run.

    Parameters
    ----------
    rungs : sequence of Rung
    fraction : float
    target : tuple of float
        N and D of the run.
    level : float
        Content at which the normal has the interval of Student's t.

    Raises
    ------
    ScalebedError
        If there are too few rungs.
    """
    found = [(rung, window(rung.fraction, rung.loss, fraction)) for rung in rungs]
    known = [(rung, mean) for rung, mean in found if mean is not None and np.isfinite(mean.value)]
    if len(known) < FEWEST:
        raise ScalebedError(
            f"{len(known)} finished runs have a curve at {fraction:.0%} of their schedule, "
            f"expected at least {FEWEST}"
        )
    y = np.array([np.log(mean.value / rung.final) for rung, mean in known])
    x = np.array([axes_of(rung.params, rung.tokens) for rung, _ in known])
    variance = [(mean.error / mean.value) ** 2 for _, mean in known if np.isfinite(mean.error)]
    sampling = float(np.mean(variance)) if variance else 0.0
    ratio = regress(x, y, np.array(axes_of(*target)), level, sampling)
    words = f"{len(known)} runs of the ladder at this fraction, {ratio.words}"
    return Ratio(ratio.value, ratio.sd, words, sampling)


def end_of(rungs: Sequence[Rung], target: tuple[float, float], level: float) -> Ratio:
    """Predict ln(final response) of a run by the same regressions, where nothing was sealed."""
    if len(rungs) < FEWEST:
        raise ScalebedError(f"the ladder has {len(rungs)} finished runs, expected {FEWEST}")
    y = np.log([rung.final for rung in rungs])
    x = np.array([axes_of(rung.params, rung.tokens) for rung in rungs])
    return regress(x, y, np.array(axes_of(*target)), level)


def axes_of(params: float, tokens: float) -> tuple[float, float]:
    """Return ln N and ln M."""
    return float(np.log(params)), float(np.log(tokens / params))


class _Form(NamedTuple):
    """One way to predict y of one more row.

    Attributes
    ----------
    name : str
    without : float
        Root mean square of the error at each row, predicted from the others.
    value, sd : float
        As in `Ratio`.
    """

    name: str
    without: float
    value: float
    sd: float


def regress(x: Array, y: Array, target: Array, level: float, noise: float = 0.0) -> Ratio:
    """Predict y of one more row: the mean over a few forms, which of them is right is not known.

    A form weighs (root mean square of its errors at rows it does not see)^-n, a normal likelihood;
    that the forms disagree about the row is part of the error.

    Parameters
    ----------
    x : array (n, 2)
    y : array (n,)
    target : array (2,)
    level : float
    noise : float
        Variance of a row that is known, below which no scatter can be.

    Raises
    ------
    ScalebedError
        If no form can be fitted.
    """
    forms = [_regression(name, axes, x, y, target, level, noise) for name, axes in _FORMS.items()]
    known = [form for form in (*forms, _nearest(x, y, target, level)) if form is not None]
    if not known:
        raise ScalebedError("the runs of the ladder do not differ in a way that tells a trend")
    without = np.maximum([form.without for form in known], 1e-12)
    weights = (without / without.min()) ** -float(y.size)
    weights /= weights.sum()
    values = np.array([form.value for form in known])
    middle = float(weights @ values)
    variance = np.array([form.sd for form in known]) ** 2 + (values - middle) ** 2
    best = known[int(np.argmax(weights))].name
    return Ratio(middle, float(np.sqrt(weights @ variance)), f"most of all by {best}")


def _regression(
    name: str,
    axes: tuple[int, ...],
    x: Array,
    y: Array,
    target: Array,
    level: float,
    noise: float,
) -> _Form | None:
    """Fit a form that is linear in some axes; None without a degree of freedom for its error."""
    dof = y.size - len(axes) - 1
    # The target is the origin, so that its own row is (1, 0, 0).
    columns = np.c_[np.ones(y.size), x[:, axes] - target[list(axes)]]
    if dof < 1 or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    inverse = np.linalg.inv(columns.T @ columns)
    solution = inverse @ columns.T @ y
    rest = y - columns @ solution
    leverage = np.einsum("ij,jk,ik->i", columns, inverse, columns)
    if np.any(leverage > 1 - 1e-9):
        return None
    without = float(np.sqrt(np.mean((rest / (1 - leverage)) ** 2)))
    scatter = max(float(np.sum(rest**2)) / dof, noise)
    spread = float(np.sqrt(scatter * (1 + inverse[0, 0])))
    return _Form(name, without, float(solution[0]), _normal(spread, dof, level))


def _nearest(x: Array, y: Array, target: Array, level: float) -> _Form | None:
    """Take the mean of the nearest rows."""
    if y.size <= NEAREST + 1:
        return None
    off = np.empty(y.size)
    for i in range(y.size):
        others = np.delete(np.arange(y.size), i)
        apart = np.sum((x[others] - x[i]) ** 2, axis=1)
        off[i] = y[i] - y[others[np.argsort(apart, kind="stable")[:NEAREST]]].mean()
    without = float(np.sqrt(np.mean(off**2)))
    close = np.argsort(np.sum((x - target) ** 2, axis=1), kind="stable")[:NEAREST]
    sd = _normal(without, y.size - 1, level)
    return _Form(f"the mean of the {NEAREST} nearest", without, float(y[close].mean()), sd)


def _normal(spread: float, dof: int, level: float) -> float:
    """Return the standard deviation of the normal that has the interval of Student's t."""
    tail = (1 + level) / 2
    return spread * float(stdtrit(dof, tail) / ndtri(tail))


def read_ladder(source: str | Path, dataset: str | None, response: str | None) -> list[Rung]:
    """Return the finished cells of a study that have a curve and a final response.

    Parameters
    ----------
    source : str or Path
        Name or folder of a study, or its study.duckdb.
    dataset : str, optional
        Data set; needed where there are several.
    response : str, optional
        Validation set; the study's own if None or "loss".

    Raises
    ------
    ScalebedError
        If there is no database, or no such data set.
    """
    with StudyDatabase(database_of(source)) as study:
        found = response if response not in (None, "loss") else study.yardstick
        cells = study.rows(
            "SELECT cell, dataset, params, cells.tokens, loss FROM cells JOIN losses USING (cell) "
            "WHERE status = 'done' AND validation = ? ORDER BY cell",
            [found],
        )
        known = sorted({row["dataset"] for row in cells})
        if dataset is None and len(known) == 1:
            dataset = known[0]
        rows = [row for row in cells if row["dataset"] == dataset]
        if not rows:
            raise ScalebedError(
                f"{source} has no finished cells of {dataset!r} with loss {found!r}, expected a "
                f"data set of {', '.join(known) or 'none'}"
            )
        curves = _curves(study, [row["cell"] for row in rows])
    return [
        rung_of(row["cell"], row["params"], row["tokens"], row["loss"], *curves[row["cell"]])
        for row in rows
        if row["cell"] in curves
    ]


def rung_of(
    name: str, params: float, tokens: float, final: float, seen: Array, loss: Array, lr: Array
) -> Rung:
    """Return a rung from the tokens seen at every row of a curve."""
    return Rung(name, float(params), float(tokens), float(final), seen / seen[-1], loss, lr)


def database_of(source: str | Path) -> Path:
    """Return the database of a study by its name, folder or file."""
    path = Path(source)
    if path.suffix == ".duckdb":
        return path
    folder = path if path.is_dir() else Path("results") / "studies" / str(source)
    if not folder.is_dir():
        raise ScalebedError(
            f"there is no study {str(source)!r}, expected the name of a study in results/studies, "
            "its folder or its study.duckdb"
        )
    return folder / "study.duckdb"


def _curves(study: StudyDatabase, cells: Iterable[str]) -> dict[str, tuple[Array, Array, Array]]:
    wanted = json.dumps(list(cells))
    rows: list[dict[str, Any]] = study.rows(
        "SELECT cell, list(tokens ORDER BY step) AS tokens, list(loss ORDER BY step) AS loss, "
        "list(lr ORDER BY step) AS lr FROM curves "
        "WHERE cell IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]'))) GROUP BY cell",
        [wanted],
    )
    return {
        row["cell"]: (
            np.array(row["tokens"], float),
            np.array([np.nan if value is None else value for value in row["loss"]]),
            np.array([np.nan if value is None else value for value in row["lr"]], float),
        )
        for row in rows
    }
